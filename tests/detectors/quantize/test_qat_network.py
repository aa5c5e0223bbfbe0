"""The network that trains is the file that is deployed: the same grids at the same places."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import onnx
import onnxruntime
import torch
from torch import Tensor

from detectors.quantize.fake_quant_network import FakeQuantNetwork, Read
from detectors.quantize.post_training import quantized
from detectors.quantize.qat import Start, float_state
from detectors.quantize.qdq import activations
from detectors.yolo_nas.architecture.model import build
from detectors.yolo_nas.checkpoints import checkpoint
from pipeline.core.errors import EngineLoadError
from tests.detectors.quantize.qat_start import CLASSES, begun, noise, write_pictures

MIXED = (
    "/backbone/stage1/blocks/bottlenecks.0/cv2/rbr_reparam/Conv",
    "/backbone/stage3/downsample/rbr_reparam/Conv",
    "/neck/neck1/conv/conv/Conv",
    "/neck/neck2/upsample/ConvTranspose",
)
HALF_A_STEP = 0.5


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """So small a network only waits for a second one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    folder = tmp_path_factory.mktemp("qat")
    return begun(folder / "run", write_pictures(folder / "pictures"))


def skips(start: Start) -> list[tuple[str, ...]]:
    """Nothing, the predictions, some of all kinds, everything."""
    layers = start.calibration.graph.layer_names()
    return [(), tuple(name for name in layers if "_pred/" in name), MIXED, tuple(layers)]


def network(start: Start, skip: Sequence[str]) -> FakeQuantNetwork:
    graph, ranges = start.calibration.graph, start.calibration.ranges
    return FakeQuantNetwork("yolo_nas_n", len(CLASSES), graph, ranges, skip=skip).eval()


def run(model: onnx.ModelProto, names: Sequence[str]) -> list[Any]:
    """Tensors of a file on noise, its operators as they are."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    there = {output.name for output in watched.graph.output}
    watched.graph.output.extend(
        onnx.helper.make_empty_tensor_value_info(name) for name in names if name not in there
    )
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options)
    return list(session.run(list(names), {"images": noise()}))


class Corrected(FakeQuantNetwork):
    """Goes on, after each tensor, with the values of the file, so that differences do not add up;
    `moved` is the share of values that were not on the file's step."""

    file: dict[str, Tensor]
    moved: dict[str, float]

    def _read(self, read: Read, values: Any, rounded: Any, scales: Tensor) -> Tensor:
        known = read.tensor in rounded
        value = super()._read(read, values, rounded, scales)
        if known or not read.on_grid:
            return value
        steps = (rounded[read.tensor] - self.file[read.tensor]).abs() / scales[
            self.grids[read.tensor]
        ]
        self.moved[read.tensor] = float((steps > HALF_A_STEP).float().mean())
        rounded[read.tensor] = self.file[read.tensor]
        return super()._read(read, values, rounded, scales)


def test_the_same_tensors_are_quantized_with_the_same_scales(start: Start) -> None:
    for skip in skips(start):
        model, made = quantized(start.calibration, skip), network(start, skip)
        pairs = {n.input[0]: n for n in model.graph.node if n.op_type == "QuantizeLinear"}
        assert sorted(pairs) == sorted(activations(start.calibration.graph, skip))
        assert sorted(pairs) == sorted(made.grids)
        read = {read.tensor for step in made.steps for read in step.reads if read.on_grid}
        assert sorted(read) == sorted(made.grids)
        constants = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
        scales = [float(constants[node.input[1]]) for node in pairs.values()]
        found = [made.ranges()[name] / 127 for name in pairs]
        np.testing.assert_allclose(found, scales, rtol=1e-6)
        integer = sum(step.integer for step in made.steps)
        kernels = [c for c in constants.values() if c.ndim == 4 and c.dtype == np.int8]
        assert integer == len(kernels) == len(start.calibration.graph.layer_names()) - len(skip)


def test_every_tensor_has_the_values_of_the_file(start: Start) -> None:
    """But for one in a thousand, where a sum of floats ends on the other side of a tie."""
    for skip in skips(start)[1:3]:
        model = quantized(start.calibration, skip)
        graph, ranges = start.calibration.graph, start.calibration.ranges
        made = Corrected("yolo_nas_n", len(CLASSES), graph, ranges, skip=skip)
        names = list(made.grids)
        values = run(model, [f"{name}.dequantized" for name in names])
        made.file = dict(zip(names, map(torch.from_numpy, values), strict=True))
        made.moved = {}
        with torch.inference_mode():
            (boxes, scores), _ = made(torch.from_numpy(noise()))
        assert made.moved.keys() == made.grids.keys()
        assert max(made.moved.values()) < 1e-3
        file_boxes, file_scores = run(model, ["boxes", "scores"])
        np.testing.assert_allclose(scores.numpy(), file_scores, atol=1e-5)
        np.testing.assert_allclose(boxes.numpy(), file_boxes, atol=1e-2)


def test_whole_network_computes_nearly_what_the_file_does(start: Start) -> None:
    """Far nearer than it is to the float network."""
    skip = skips(start)[1]
    with torch.inference_mode():
        (_, scores), _ = network(start, skip)(torch.from_numpy(noise()))
        (_, float_scores), _ = network(start, skips(start)[-1])(torch.from_numpy(noise()))
    _, file_scores = run(quantized(start.calibration, skip), ["boxes", "scores"])
    gap = np.abs(scores.numpy() - file_scores).mean()
    assert gap < 1e-3
    assert gap < 0.5 * np.abs(float_scores.numpy() - file_scores).mean()


def test_with_everything_in_float_it_is_the_float_network(start: Start, tmp_path: Path) -> None:
    made = network(start, skips(start)[-1])
    plain = build("yolo_nas_n", len(CLASSES)).fuse(full=True).eval()
    plain.load_state_dict(float_state(made))
    images = torch.from_numpy(noise())
    with torch.inference_mode():
        (boxes, scores), raw = made(images)
        (plain_boxes, plain_scores), plain_raw = plain(images)
    torch.testing.assert_close(boxes, plain_boxes, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(scores, plain_scores, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(raw.distances, plain_raw.distances, rtol=1e-4, atol=1e-3)
    assert torch.equal(raw.anchor_boxes, plain_raw.anchor_boxes)
    assert raw.anchors_per_level == plain_raw.anchors_per_level


def test_float_weights_come_back_exactly(start: Start, tmp_path: Path) -> None:
    """Through a checkpoint with batch norms, which export folds again."""
    made = network(start, ())
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(1 + 0.1 * torch.rand(parameter.shape, generator=rng))
    about = {"class_names": list(CLASSES), "input_size": [64, 64]}
    torch.save({"ema_net": float_state(made)} | about, tmp_path / "trained.pth")
    read = checkpoint.read(tmp_path / "trained.pth")
    assert read.form == "full"
    plain = read.module()
    from detectors.yolo_nas.architecture.fuse import fold_batch_norms

    fold_batch_norms(plain)
    state = plain.state_dict()
    for name, parameter in made.named_parameters():
        assert torch.equal(state[name], parameter), name


def test_ranges_of_a_group_are_one_and_zero_is_none(start: Start) -> None:
    graph = start.calibration.graph
    ranges = dict.fromkeys(start.calibration.ranges, 0.0)
    joined = "/backbone/context_module/Concat_output_0"
    pooled = "/backbone/context_module/MaxPool_1_output_0"
    made = FakeQuantNetwork("yolo_nas_n", 2, graph, ranges | {pooled: 0.25})
    assert made.ranges()[joined] == made.ranges()[pooled] == 0.25
    assert made.ranges()["images"] == 1.0
    with pytest.raises(ValueError, match="range of images is nan"):
        FakeQuantNetwork("yolo_nas_n", 2, graph, ranges | {"images": float("nan")})
    with pytest.raises(ValueError, match="no such convolution"):
        FakeQuantNetwork("yolo_nas_n", 2, graph, ranges, skip=["/nowhere/Conv"])


def test_graph_of_another_network_is_refused(start: Start) -> None:
    with pytest.raises(EngineLoadError, match=r"no constant .*cls_pred.* of shape \(3,"):
        FakeQuantNetwork("yolo_nas_n", 3, start.calibration.graph, start.calibration.ranges)


def test_learnt_ranges_get_a_gradient_and_others_are_constant(start: Start) -> None:
    graph, ranges = start.calibration.graph, start.calibration.ranges
    learning = FakeQuantNetwork("yolo_nas_n", 2, graph, ranges, learn_ranges=True)
    raw = learning.raw(torch.from_numpy(noise()))
    torch.autograd.backward(raw.logits.square().mean() + raw.distances.square().mean())
    assert learning.amax.grad is not None
    assert int((learning.amax.grad != 0).sum()) > 50
    fixed = network(start, ())
    assert "amax" not in dict(fixed.named_parameters())
    assert "amax" in fixed.state_dict()
