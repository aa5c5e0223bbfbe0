"""A detection network of one input size, brought to another.

Convolutions do not care how large a picture is. What does, in a graph that was exported at a fixed
size, are constants of its head: the points of the anchors, their strides, and the numbers of
positions that outputs are reshaped to. They are made anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import onnx

from detectors.quantize.graph import Graph
from pipeline.core.arrays import F32, AnyArray

STRIDES_PX: Final = (8, 16, 32)


def sized(model: onnx.ModelProto, size: tuple[int, int]) -> onnx.ModelProto:
    """The model for pictures of `size` (height, width), in multiples of 32 pixels.

    For graphs with one input (B, 3, H, W) and anchors in the middle of every 8, 16 and 32 pixels,
    row by row, in units of their stride. Raises ValueError for others.
    """
    graph = Graph(model)
    old = _input_size(model)
    if old == size:
        return model
    before, after = _Points(old), _Points(size)
    reshaped = {node.input[1] for node in graph.nodes if node.op_type == "Reshape"}
    constants = {
        name: before.moved(value, after, target=name in reshaped)
        for name, value in graph.constants.items()
    }
    changed = [name for name in constants if constants[name] is not graph.constants[name]]
    if not {"points", "strides"} <= {before.kind(graph.constants[name]) for name in changed}:
        raise ValueError("its anchors are not those of a network that can be brought to a size")
    new = graph.rebuilt(graph.nodes, constants)
    _set_sides(new.graph.input[0], size, at=2)
    for output in new.graph.output:
        _set_sides(output, (after.count,), at=1)
    return new


class _Points:
    """The anchors of one size."""

    def __init__(self, size: tuple[int, int]) -> None:
        grids = [(size[0] // stride, size[1] // stride) for stride in STRIDES_PX]
        self.per_level = [rows * columns for rows, columns in grids]
        self.count = sum(self.per_level)
        self.points: F32 = np.concatenate([_middles(*grid) for grid in grids])
        self.strides: F32 = np.repeat(STRIDES_PX, self.per_level).astype(np.float32)[:, None]

    def kind(self, value: AnyArray) -> str | None:
        """What a constant is of these: points, strides, or neither."""
        for kind, own in (("points", self.points), ("strides", self.strides)):
            if value.shape == own.shape and np.array_equal(value, own):
                return kind
        return None

    def moved(self, value: AnyArray, new: _Points, *, target: bool) -> AnyArray:
        """A constant as the `new` points have it; the same object where it stays. With `target`, it
        is what something is reshaped to."""
        kind = self.kind(value)
        if kind is not None:
            return new.points if kind == "points" else new.strides
        if not target:
            return value
        counts = dict(zip([*self.per_level, self.count], [*new.per_level, new.count], strict=True))
        sides = [counts.get(side, side) if place else side for place, side in enumerate(value)]
        return value if list(value) == sides else np.array(sides, value.dtype)


def _middles(rows: int, columns: int) -> F32:
    y, x = np.mgrid[:rows, :columns].astype(np.float32) + np.float32(0.5)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _input_size(model: onnx.ModelProto) -> tuple[int, int]:
    inputs = model.graph.input
    sides = [side.dim_value for side in inputs[0].type.tensor_type.shape.dim] if inputs else []
    if len(inputs) != 1 or len(sides) != 4 or min(sides[2:]) < 1:
        raise ValueError("its input is not one batch of pictures of a fixed size")
    return sides[2], sides[3]


def _set_sides(value: onnx.ValueInfoProto, sides: Sequence[int], *, at: int) -> None:
    for place, side in enumerate(sides, start=at):
        value.type.tensor_type.shape.dim[place].dim_value = side
