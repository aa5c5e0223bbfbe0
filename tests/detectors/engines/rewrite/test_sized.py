"""A network brought to another size computes what it would if it had been exported so."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from detectors.engines.rewrite.sized import sized
from detectors.yolo_nas.detector import WEIGHTS

SIZE = (288, 512)


def outputs(model: onnx.ModelProto, pictures: np.ndarray) -> list[np.ndarray]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, {session.get_inputs()[0].name: pictures}))


def test_as_if_exported_at_that_size(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs torch")
    from detectors.export import export
    from detectors.yolo_nas.checkpoints.checkpoint import read

    checkpoint = read(WEIGHTS / "yolo_nas_n.pth")
    square, wide = tmp_path / "square.onnx", tmp_path / "wide.onnx"
    export(checkpoint, square, size=(96, 96))
    export(checkpoint, wide, size=(64, 160))
    pictures = np.random.default_rng(0).random((2, 3, 64, 160), np.float32)
    found = outputs(sized(onnx.load(square), (64, 160)), pictures)
    wanted = outputs(onnx.load(wide), pictures)
    assert [array.shape for array in found] == [(2, 210, 4), (2, 210, 5)]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)


def test_there_and_back_is_the_same_network() -> None:
    model = onnx.load(WEIGHTS / "yolo_nas_n_int8.onnx")
    pictures = np.random.default_rng(1).random((1, 3, 416, 416), np.float32)
    back = sized(sized(model, SIZE), (416, 416))
    for one, other in zip(outputs(back, pictures), outputs(model, pictures), strict=True):
        np.testing.assert_array_equal(one, other)


def test_its_own_size_leaves_it_as_it_is() -> None:
    model = onnx.load(WEIGHTS / "yolo_nas_n_int8.onnx")
    assert sized(model, (416, 416)) is model


def _relu(shape: list[int | str]) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y")]
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    return helper.make_model(helper.make_graph(nodes, "relu", ends[:1], ends[1:]))


@pytest.mark.parametrize(
    ("shape", "why"), [([1, 3, 64, 64], "its anchors"), (["b", "c", "h", "w"], "a fixed size")]
)
def test_other_networks_are_refused(shape: list[int | str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        sized(_relu(shape), SIZE)


def test_an_engine_opens_a_file_at_another_size(tmp_path: Path) -> None:
    from detectors.engines.open import open_engine
    from detectors.engines.options import EngineOptions

    path = WEIGHTS / "yolo_nas_n_int8.onnx"
    options = EngineOptions(engine="onnxruntime", integer_input=True, size=SIZE)
    engine = open_engine(path, options)
    assert engine.inputs[0].shape == (None, *SIZE, 3)
    assert engine.outputs[0].shape == (None, 3024, 4)
    engine.close()
