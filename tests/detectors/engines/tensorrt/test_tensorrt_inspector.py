"""The inspector's JSON in both forms, and what a QDQ file plans. The samples are written by hand
in the form that TensorRT's documentation gives."""

import json
from typing import Any

import pytest

from detectors.engines.planned import check_symmetric, planned_layers
from detectors.engines.tensorrt.inspector import EngineLayer, int8_share, layers
from detectors.quantize.graph import Graph
from pipeline.core.errors import EngineLoadError
from tests.detectors.engines.tensorrt.small_network import network, quantized

OLD_INT8 = "Thirty-two wide channel vectorized row major Int8 format"
OLD_HALF = "Channel major FP16 format where channel % 8 == 0"
NODE = "/stem/conv/Conv"
INT8_TACTIC = "sm80_xmma_fprop_implicit_gemm_interleaved_i8i8_i8i32_f32_nchw_vect_c_32"
HALF_TACTIC = "sm90_xmma_fprop_implicit_gemm_f16f16_f16f16_f16_nhwckrsc_nhwc_tilesize64x64x64"


def old(name: str, kind: str, layer_type: str = "CaskConvolution", **more: Any) -> dict[str, Any]:
    tensor = {"Name": "x", "Location": "Device", "Dimensions": [1, 32, 8, 8]}
    return {
        "Name": name,
        "LayerType": layer_type,
        "Inputs": [tensor | {"Format/Datatype": kind}],
        "Outputs": [tensor | {"Format/Datatype": OLD_HALF}],
        **more,
    }


def new(name: str, datatype: str, **more: Any) -> dict[str, Any]:
    tensor = {"Name": "x", "Location": "Device", "Dimensions": [1, 32, 8, 8]}
    return {
        "Name": name,
        "LayerType": "CaskConvolution",
        "Inputs": [tensor | {"Format": "Row major linear", "Datatype": datatype}],
        "Outputs": [tensor | {"Format": "Row major linear", "Datatype": "Half"}],
        **more,
    }


OLD = json.dumps(
    {
        "Layers": [
            old("Reformatting CopyNode for Input Tensor 0", "Row major linear FP32", "Reformat"),
            old(
                "/stem/conv/Conv + /stem/Relu",
                OLD_INT8,
                ParameterType="Convolution",
                TacticName=INT8_TACTIC,
                Metadata=f"[ONNX Layer: {NODE}]\u001e[ONNX Layer: /stem/Relu]",
            ),
            old("/heads/reg_pred/Conv", OLD_HALF, TacticName=HALF_TACTIC),
            old("/pool/MaxPool", OLD_INT8, "CaskPooling"),
        ],
        "Bindings": ["images", "boxes", "scores"],
    }
)
NEW = json.dumps(
    {
        "Layers": [
            new("convert", "Float"),
            new(
                "/stem/conv/Conv_myl0_1",
                "Int8",
                TacticName="sm90_xmma_fprop_imma_64x64",
                Metadata=f"[ONNX Layer: {NODE}]\u001e[ONNX Layer: /stem/Relu]",
            ),
            new("__myl_3", "Half", Metadata="[ONNX Layer: /heads/reg_pred/Conv]"),
            new("/pool/MaxPool", "INT8"),
        ],
        "I/O Tensors": [{"Name": "images"}, {"Name": "boxes"}, {"Name": "scores"}],
    }
)


@pytest.mark.parametrize("information", [OLD, NEW], ids=["to 10.x", "from 11"])
def test_both_forms_say_the_same(information: str) -> None:
    found = layers(information)
    assert [layer.precision for layer in found] == ["fp32", "int8", "fp16", "int8"]
    assert NODE in found[1].onnx
    assert "/stem/Relu" in found[1].onnx
    share = int8_share(found, [NODE, "/heads/reg_pred/Conv"])
    assert (share.ran, share.planned, share.others) == (1, 2, ("/heads/reg_pred/Conv",))
    assert str(share) == "1 of 2 planned convolutions run (50.0 %)"


def test_kernels_name_outweighs_the_tensors_type() -> None:
    layer = layers(json.dumps({"Layers": [old("a", OLD_HALF, TacticName=INT8_TACTIC)]}))[0]
    assert (layer.precision, layer.tactic, layer.kind) == ("int8", INT8_TACTIC, "CaskConvolution")


def test_names_alone_say_no_precision() -> None:
    assert layers('{"Layers": ["/a/Conv + /a/Relu"], "Bindings": []}') == [
        EngineLayer("/a/Conv + /a/Relu", "", None, "", ("/a/Conv", "/a/Relu"))
    ]


def test_other_types_are_none_of_ours() -> None:
    said = {"Layers": [new("a", "Int32"), new("b", "BFloat16"), {"Name": "c"}]}
    assert [layer.precision for layer in layers(json.dumps(said))] == [None, None, None]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"Layers": 1}', "[" * 100_000])
def test_what_is_not_the_inspectors_is_one_line(text: str) -> None:
    with pytest.raises(EngineLoadError, match="the inspector's answer is not understood"):
        layers(text)


def test_nothing_planned_is_all_of_it() -> None:
    assert int8_share([], []).value == 1.0


def test_plan_of_a_qdq_file() -> None:
    names = ["/stem/Conv", "/boxes/Conv", "/scores/Conv"]
    found = planned_layers(Graph(quantized(skip=("/boxes/Conv",))))
    assert [layer.name for layer in found] == names
    assert [layer.precision for layer in found] == ["int8", "fp32", "int8"]
    assert {layer.precision for layer in planned_layers(Graph(network()))} == {"fp32"}


def test_signed_symmetric_files_pass() -> None:
    check_symmetric(Graph(quantized()), "x")
    check_symmetric(Graph(network()), "x")
