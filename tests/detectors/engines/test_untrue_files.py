"""Files that are not what they say, or whose graph is damaged, are refused in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detectors.engines.model_header import PRECISION_KEY
from detectors.engines.open import EngineOptions, open_engine
from detectors.yolo_nas.detector import WEIGHTS
from pipeline.core.errors import EngineLoadError, EngineRunError

onnx = pytest.importorskip("onnx")

INT8 = WEIGHTS / "yolo_nas_n_int8.onnx"


@pytest.fixture(params=["onnxruntime", "openvino"])
def options(request: pytest.FixtureRequest) -> EngineOptions:
    if request.param == "openvino":
        pytest.importorskip("openvino", reason="needs the openvino extra")
    return EngineOptions(engine=request.param, threads=2)


def cut_a_kernel(model: Any) -> None:
    kernel = next(one for one in model.graph.initializer if len(one.dims) == 4)
    kernel.raw_data = kernel.raw_data[:10]


def take_inputs(model: Any) -> None:
    next(node for node in model.graph.node if node.op_type == "QuantizeLinear").ClearField("input")


def keep_a_kernel_elsewhere(model: Any) -> None:
    kernel = next(one for one in model.graph.initializer if len(one.dims) == 4)
    kernel.ClearField("raw_data")
    kernel.data_location = onnx.TensorProto.EXTERNAL
    kernel.external_data.add(key="location", value="/nowhere")


@pytest.mark.parametrize("damage", [cut_a_kernel, take_inputs, keep_a_kernel_elsewhere])
def test_a_damaged_quantized_graph_is_one_line(
    tmp_path: Path, options: EngineOptions, damage: Callable[[Any], None]
) -> None:
    model = onnx.load(INT8)
    damage(model)
    path = tmp_path / "damaged.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(EngineLoadError, match=r"damaged\.onnx.*make it anew") as caught:
        open_engine(path, options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("said", ["fp32", "int4", "{not a precision"])
def test_a_precision_in_the_metadata_that_is_not_what_runs_is_refused(
    tmp_path: Path, options: EngineOptions, said: str
) -> None:
    model = onnx.load(INT8)
    entry = next(entry for entry in model.metadata_props if entry.key == PRECISION_KEY)
    entry.value = said
    onnx.save(model, tmp_path / "untrue.onnx")
    with pytest.raises(EngineLoadError, match=r"in int8, but its metadata says") as caught:
        open_engine(tmp_path / "untrue.onnx", options)
    assert repr(said) in str(caught.value)


def test_a_quantized_file_without_metadata_is_reported_as_what_runs(
    tmp_path: Path, options: EngineOptions
) -> None:
    model = onnx.load(INT8)
    model.ClearField("metadata_props")
    onnx.save(model, tmp_path / "plain.onnx")
    engine = open_engine(tmp_path / "plain.onnx", options)
    assert engine.precision == "int8"
    with pytest.raises(EngineRunError, match="takes 1 tensors, got 0"):
        engine.run()
    engine.close()


def test_metadata_that_is_no_text_is_told(tmp_path: Path) -> None:
    content = INT8.read_bytes().replace(b"eyrie.precision", b"eyrie.precisio\xff")
    (tmp_path / "bytes.onnx").write_bytes(content)
    with pytest.raises(EngineLoadError, match=r"damaged: its metadata is no text"):
        open_engine(tmp_path / "bytes.onnx", EngineOptions(engine="onnxruntime"))


def test_a_format_that_is_too_new_is_told_in_words(tmp_path: Path) -> None:
    model = onnx.load(WEIGHTS / "yolo_nas_n.onnx")
    model.ir_version = 99
    (tmp_path / "new.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(EngineLoadError, match=r"IR version: 99") as caught:
        open_engine(tmp_path / "new.onnx", EngineOptions(engine="onnxruntime"))
    assert "onnxruntime_src" not in str(caught.value)


@pytest.mark.parametrize("key", ["engine", "precision", "hint"])
def test_names_that_nobody_knows_are_no_options(key: str) -> None:
    wrong: dict[str, Any] = {key: "int4"}
    with pytest.raises(ValueError, match=rf"{key} must be one of .*, got 'int4'"):
        EngineOptions(**wrong)
