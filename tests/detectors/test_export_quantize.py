"""A checkpoint becomes an ONNX file, and that a file in 8 bits."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("onnx", reason="needs the train extra")

import onnx
import onnxruntime
import torch
from onnx import numpy_helper

from detectors.export import export
from detectors.quantize.calibrate import Histogram, collect
from detectors.quantize.graph import Graph
from detectors.quantize.qdq import Scheme, activations, quantize, quantize_kernel
from detectors.yolo_nas.checkpoint import read
from detectors.yolo_nas.model import build
from detectors.yolo_nas.predict import YoloNAS
from pipeline.core.arrays import F32

SIZE = (64, 96)
SKIP = "_pred/"


@pytest.fixture(scope="module")
def float_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model with the batch statistics of noise, exported."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    model = build("yolo_nas_n", 2)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.5
    with torch.no_grad():
        for _ in range(8):
            model(torch.rand(4, 3, *SIZE))
    state = {
        "ema_net": model.state_dict(),
        "variant": "yolo_nas_n",
        "class_names": ["cat", "dog"],
        "input_size": list(SIZE),
        "data": ["somewhere/pictures"],
        "pictures_seen": 12,
        "seed": 3,
    }
    torch.save(state, folder / "checkpoint.pth")
    export(read(folder / "checkpoint.pth"), folder / "model.onnx", training={"command": "none"})
    return folder / "model.onnx"


def noise(count: int) -> list[F32]:
    rng = np.random.default_rng(1)
    return [rng.random((2, 3, *SIZE), np.float32) for _ in range(count)]


def run(model: bytes, images: F32) -> tuple[F32, F32]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    boxes, scores = session.run(["boxes", "scores"], {"images": images})
    return boxes, scores


def in_8_bits(path: Path, scheme: Scheme) -> onnx.ModelProto:
    graph = Graph.load(path)
    skip = [node.name for node in graph.nodes if SKIP in node.name]
    model = graph.rebuilt(graph.nodes, graph.constants)
    histograms = collect(model, activations(graph, skip), noise(4))
    return quantize(graph, histograms, scheme, skip=skip)


def test_exported_file_says_what_it_is(float_file: Path) -> None:
    model = onnx.load(float_file)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    said = json.loads(metadata["eyrie.model"])
    assert metadata["eyrie.precision"] == "fp32"
    assert (said["family"], said["variant"]) == ("yolo_nas", "yolo_nas_n")
    assert said["class_names"] == ["cat", "dog"]
    assert said["input_size"] == [64, 96]
    assert said["preprocessing"]["letterbox"] == "centre"
    assert len(said["checkpoint_sha256"]) == 64
    assert said["training"]["data"] == ["pictures"]
    shapes = [
        [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert shapes == [["batch", 3, 64, 96], ["batch", 126, 4], ["batch", 126, 2]]


def test_exported_file_predicts(float_file: Path) -> None:
    model = YoloNAS.load(float_file)
    found = model.predict(np.zeros((50, 80, 3), np.uint8))
    assert found.class_names == ("cat", "dog")
    assert found.prediction.bboxes_xyxy.shape[1] == 4


def test_any_batch_gives_the_results_of_single_images(float_file: Path) -> None:
    images = np.concatenate(noise(2))[:3]
    together = run(float_file.read_bytes(), images)
    for n in range(3):
        alone = run(float_file.read_bytes(), images[n : n + 1])
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_allclose(a[n], b[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("scheme", [Scheme(), Scheme(method="percentile"), Scheme(signed=True)])
def test_8_bits_compute_nearly_the_same(float_file: Path, scheme: Scheme) -> None:
    images = noise(1)[0]
    boxes, scores = run(float_file.read_bytes(), images)
    small = in_8_bits(float_file, scheme)
    boxes_8, scores_8 = run(small.SerializeToString(), images)
    assert np.abs(boxes - boxes_8).mean() < 1.5
    assert np.abs(scores - scores_8).mean() < 0.01


def test_everything_between_convolutions_is_quantized(float_file: Path) -> None:
    model = in_8_bits(float_file, Scheme())
    makers = {name: node for node in model.graph.node for name in node.output}
    kinds = Counter(node.op_type for node in model.graph.node)
    assert kinds["Conv"] > 70
    for node in model.graph.node:
        if node.op_type in ("Conv", "ConvTranspose", "MaxPool"):
            assert makers[node.input[0]].op_type == "DequantizeLinear"
        if node.op_type in ("Conv", "ConvTranspose") and SKIP not in node.name:
            assert makers[node.input[1]].op_type == "DequantizeLinear"
        if node.op_type == "Add" and "bottlenecks" in node.name:
            assert [makers[name].op_type for name in node.input] == ["DequantizeLinear"] * 2
    assert not any(n.op_type == "Mul" and "bottlenecks" in n.name for n in model.graph.node)


def test_quantized_kernels_are_symmetric_int8_per_output_channel(float_file: Path) -> None:
    model = in_8_bits(float_file, Scheme())
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    kernels = [name for name, value in constants.items() if value.ndim == 4 and value.dtype == "i1"]
    assert len(kernels) > 70
    for name in kernels:
        stem = name.removesuffix(".quantized")
        axis = 1 if "upsample" in name else 0
        assert constants[f"{stem}.scale"].shape == (constants[name].shape[axis],)
        assert not constants[f"{stem}.zero"].any()
        assert constants[name].min() >= -127


def test_signed_scheme_has_zero_points_of_zero(float_file: Path) -> None:
    model = in_8_bits(float_file, Scheme(signed=True))
    points = [t for t in model.graph.initializer if t.name.endswith(".zero_point")]
    assert len(points) > 90
    assert all(t.data_type == onnx.TensorProto.INT8 for t in points)
    assert not any(numpy_helper.to_array(t).any() for t in points)


@pytest.mark.parametrize("axis", [0, 1])
def test_kernel_error_is_at_most_half_a_step(axis: int) -> None:
    kernel = np.random.default_rng(axis).normal(size=(6, 5, 3, 3)).astype(np.float32)
    integers, scale = quantize_kernel(kernel, axis)
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    error = np.abs(integers * scale.reshape(shape) - kernel)
    assert (error <= scale.reshape(shape) * 0.5001).all()
    assert np.abs(integers).max() == 127


def test_clip_ignores_a_single_outlier_but_not_a_uniform_range() -> None:
    rng = np.random.default_rng(2)
    spread = Histogram()
    spread.add(rng.uniform(0, 4, 100_000).astype(np.float32))
    assert spread.clip("mse", 255) == pytest.approx(4, rel=0.03)
    assert spread.clip("percentile", 255) == pytest.approx(4, rel=0.03)
    assert not spread.negative
    tailed = Histogram()
    tailed.add(np.append(np.abs(rng.normal(size=100_000)), 40).astype(np.float32))
    tailed.add(np.array([-1], np.float32))
    assert tailed.clip("percentile", 127) < 6
    assert tailed.clip("mse", 127) < 30
    assert tailed.negative
