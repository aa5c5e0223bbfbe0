"""Pictures through a float graph: each once, and out come ranges of the tensors."""

from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from detectors.quantize.calibrate import METHODS, Method, clips, collect, ranges, run
from detectors.quantize.clipping import clip
from detectors.quantize.graph import Graph
from detectors.quantize.histogram import Histogram
from pipeline.core.arrays import F32
from pipeline.core.errors import EngineLoadError, EngineRunError

SIDE = 8
KERNELS = {"small": 0.5, "large": 3.0}


def two_branches(opset: int = 17) -> Graph:
    """images -> two 1x1 convolutions with ReLU -> Concat -> convolution -> made."""
    rng = np.random.default_rng(0)
    constants, nodes = {}, []
    for name, scale in KERNELS.items():
        constants[f"{name}.kernel"] = rng.normal(size=(4, 3, 1, 1)) * scale
        nodes.append(helper.make_node("Conv", ["images", f"{name}.kernel"], [f"{name}.sum"], name))
        nodes.append(helper.make_node("Relu", [f"{name}.sum"], [name]))
    constants["last.kernel"] = rng.normal(size=(2, 8, 1, 1))
    nodes.append(helper.make_node("Concat", list(KERNELS), ["both"], axis=1))
    nodes.append(helper.make_node("Conv", ["both", "last.kernel"], ["made"], "last"))
    graph = helper.make_graph(
        nodes,
        "two branches",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("made", TensorProto.FLOAT, ["batch", 2, SIDE, SIDE])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    return Graph(helper.make_model(graph, opset_imports=opsets, ir_version=8))


def batches(count: int) -> Iterator[F32]:
    rng = np.random.default_rng(1)
    for _ in range(count):
        yield rng.random((2, 3, SIDE, SIDE), np.float32)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_batch_is_run_once(count: int) -> None:
    given = batches(count)
    found = collect(two_branches(), ["images", "large"], given)
    assert next(given, None) is None
    assert found["images"].counts.sum() == count * 2 * 3 * SIDE**2
    assert found["large"].counts.sum() == count * 2 * 4 * SIDE**2


@pytest.mark.parametrize("method", METHODS)
def test_ranges_are_clips_of_the_values(method: Method) -> None:
    graph = two_branches()
    found = ranges(graph, ["images", "large"], batches(3), method)
    kernel = graph.constants["large.kernel"][:, :, 0, 0]
    values = [np.maximum(np.einsum("oi,bihw->bohw", kernel, batch), 0) for batch in batches(3)]
    direct = Histogram()
    direct.add(np.concatenate(values).astype(np.float32))
    assert found["large"] == pytest.approx(clip(direct, method), rel=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_tensors_that_share_a_grid_have_the_clip_of_their_joint_values(method: Method) -> None:
    graph = two_branches()
    names = ["images", *KERNELS, "both"]
    found = ranges(graph, names, batches(3), method)
    assert found["small"] == found["large"] == found["both"] != found["images"]
    each = collect(graph, names, batches(3))
    assert found["both"] == clip(Histogram.joined(each[n] for n in (*KERNELS, "both")), method)
    alone = clips(each, method)
    assert alone["small"] < alone["large"]


def test_the_values_of_inner_tensors_are_those_of_the_graph() -> None:
    graph = two_branches()
    model = graph.rebuilt(graph.nodes, graph.constants)
    for as_written in (False, True):
        for small, both in run(model, ["small", "both"], batches(2), as_written=as_written):
            np.testing.assert_array_equal(both[:, :4], small)


def test_no_batch_is_an_error() -> None:
    with pytest.raises(ValueError, match="no batch"):
        collect(two_branches(), ["images"], [])


def test_a_tensor_that_overflows_is_named() -> None:
    huge = np.full((1, 3, SIDE, SIDE), 3e38, np.float32)
    with pytest.raises(EngineRunError, match="calibration: tensor 'large' holds") as raised:
        collect(two_branches(), ["images", "large"], [huge])
    assert "\n" not in str(raised.value)


def test_pictures_of_another_size_are_one_line() -> None:
    with pytest.raises(EngineRunError, match="cannot be run") as raised:
        collect(two_branches(), ["images"], [np.zeros((1, 3, 4, 4), np.float32)])
    assert "\n" not in str(raised.value)


def test_a_graph_that_the_runtime_does_not_know_is_one_line() -> None:
    with pytest.raises(EngineLoadError, match="does not take the graph") as raised:
        collect(two_branches(opset=99), ["images"], batches(1))
    assert "\n" not in str(raised.value)


def test_the_graph_is_left_as_it_was() -> None:
    graph = two_branches()
    before = graph.model.SerializeToString()
    collect(graph, ["large"], batches(1))
    assert graph.model.SerializeToString() == before
    assert [output.name for output in graph.model.graph.output] == ["made"]
    onnx.checker.check_model(graph.model)
