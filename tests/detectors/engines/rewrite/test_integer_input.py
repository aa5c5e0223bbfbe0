"""A network that takes integers gives the numbers of one that takes floats."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest

from detectors.engines.model_header import GRID_KEY
from detectors.engines.onnxruntime import OnnxRuntimeEngine
from detectors.engines.rewrite.integer_input import integer_input
from detectors.engines.rewrite.substitutes import substituted
from detectors.engines.rewrite.unsigned import unsigned
from detectors.yolo_nas.detector import Description, resolve
from detectors.yolo_nas.preparation import Preparation
from detectors.yolo_nas.proof import pictures
from tests.detectors.engines.rewrite.graphs import ACTIVATION, Writer, picture
from tests.detectors.engines.rewrite.runs import run


def first_convolution(seed: int, sides: Sequence[int]) -> onnx.ModelProto:
    writer = Writer(seed)
    kernel = writer.kernel("first", (16, 3, 3, 3), 0)
    how = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    writer.add("Conv", [writer.quantized("x"), *kernel], "made", **how)
    return writer.model((3, *sides), [writer.quantized("made")])


@pytest.mark.parametrize("optimized", [True, False])
@pytest.mark.parametrize("sides", [(32, 64), (48, 24), (6, 10)])  # the last cannot be packed
def test_integers_give_what_floats_give(sides: tuple[int, int], optimized: bool) -> None:
    model = unsigned(first_convolution(7, sides))
    images = picture(3, (2, 3, *sides))
    wanted = run(substituted(model), images, optimized=optimized)
    moved = integer_input(model)
    scale, zero = next(p.value for p in moved.metadata_props if p.key == GRID_KEY).split()
    assert (float(scale), int(zero)) == (ACTIVATION, 128)
    integers = (np.rint(images / ACTIVATION) + 128).clip(0, 255).astype(np.uint8)
    got = run(substituted(moved), integers.transpose(0, 2, 3, 1), optimized=optimized)
    np.testing.assert_array_equal(got["made.real"], wanted["made.real"])


def test_nothing_is_moved_in_front_of_the_first_convolution() -> None:
    nodes = substituted(integer_input(unsigned(first_convolution(7, (32, 64))))).graph.node
    before = [node.op_type for node in nodes][: [n.op_type for n in nodes].index("Conv")]
    assert [kind for kind in before if kind not in ("DequantizeLinear", "Reshape")] == ["Transpose"]


def read_twice() -> onnx.ModelProto:
    writer = Writer(1)
    writer.add("Relu", ["x"], "other")
    return writer.model((3, 8, 8), [writer.quantized("x"), "other"])


def not_quantized() -> onnx.ModelProto:
    writer = Writer(1)
    writer.add("Relu", ["x"], "made")
    return writer.model((3, 8, 8), ["made"])


def flat() -> onnx.ModelProto:
    writer = Writer(1)
    return writer.model((3,), [writer.quantized("x")])


@pytest.mark.parametrize("make", [read_twice, not_quantized, flat])
def test_other_networks_are_left_as_they_are(make: object) -> None:
    assert callable(make)
    model = unsigned(make())
    assert integer_input(model) is model


def test_the_default_model_answers_alike_and_its_file_stays_as_it_is() -> None:
    path = resolve("yolo_nas_n_int8")
    before = path.read_bytes()
    floats, integers = OnnxRuntimeEngine(path, 1), OnnxRuntimeEngine(path, 1, integer_input=True)
    (spec,) = integers.inputs
    assert (spec.dtype, spec.shape) == ("uint8", (None, 416, 416, 3))
    assert spec.grid is not None
    assert spec.grid.scale == pytest.approx(1 / 127)
    assert spec.grid.zero_point == 128
    assert integers.metadata == floats.metadata
    processing = Description.read(floats.metadata, path.name).processing
    tensor, transforms = Preparation(processing, spec).batch(pictures())
    wanted, same = processing.prepare_batch(pictures())
    assert transforms == same
    for a, b in zip(integers.run(tensor), floats.run(wanted), strict=True):
        np.testing.assert_array_equal(a, b)
    assert path.read_bytes() == before


def test_a_file_of_floats_takes_floats() -> None:
    engine = OnnxRuntimeEngine(resolve("yolo_nas_n"), 1, integer_input=True)
    assert [(s.dtype, s.grid) for s in engine.inputs] == [("float32", None)]


def test_apart_is_as_here(tmp_path: Path) -> None:
    from detectors.engines.apart import rewritten_apart
    from detectors.engines.rewrite import rewritten

    content = resolve("yolo_nas_n_int8").read_bytes()
    assert rewritten_apart(content, integer_input=True) is None  # onnx is loaded here
    assert rewritten(content, takes_integers=True) != rewritten(content)
