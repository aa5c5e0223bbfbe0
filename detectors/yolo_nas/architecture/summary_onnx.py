"""The summary of an exported file, from its graph alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detectors.yolo_nas.architecture.summary import Row, Shape

CONVOLUTIONS = ("Conv", "ConvTranspose")


def onnx_rows(path: Path) -> tuple[Row, ...]:
    """A row for every module that left a convolution in the graph, the whole one first.

    `parameters` are kernels and biases; nothing is `trainable`. Raises ValueError for a graph whose
    nodes are not named after modules, as `detectors.export` names them.
    """
    import onnx

    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    shapes = _shapes(model.graph)
    scopes: dict[str, _Scope] = {"": _Scope()}
    for node in model.graph.node:
        convolution = node.op_type in CONVOLUTIONS
        module, _, operation = node.name.strip("/").rpartition("/")
        for name in _with_parents(module.replace("/", ".")):
            scope = scopes.setdefault(name, _Scope())
            if convolution:
                scope.add(node, shapes)
            elif operation and scope.inputs:
                scope.outputs = _known(node.output, shapes)
    if len(scopes) == 1:
        raise ValueError(f"{path}: its nodes are not named after modules")
    scopes[""].inputs = _known([value.name for value in model.graph.input], shapes)
    scopes[""].outputs = _known([value.name for value in model.graph.output], shapes)
    return tuple(scope.row(name) for name, scope in scopes.items() if scope.inputs)


@dataclass(slots=True)
class _Scope:
    """What is known of one module so far."""

    inputs: tuple[Shape, ...] = ()
    outputs: tuple[Shape, ...] = ()
    parameters: int = 0
    macs: int = 0
    operations: list[str] = field(default_factory=list)

    def add(self, node: Any, shapes: dict[str, Shape]) -> None:
        """Count a convolution, of which every output (or, transposed, input) pixel sees the kernel
        of its channels once."""
        shown, kernel, *bias = node.input
        made = shapes[node.output[0]]
        pixels = math.prod((made if node.op_type == "Conv" else shapes[shown])[2:])
        self.parameters += sum(math.prod(shapes[name]) for name in (kernel, *bias))
        self.macs += math.prod(shapes[kernel]) * pixels
        self.inputs = self.inputs or (shapes[shown],)
        self.outputs = (made,)
        self.operations.append(node.op_type)

    def row(self, name: str) -> Row:
        depth = name.count(".") + 1 if name else 0
        kind = self.operations[0] if len(self.operations) == 1 else ""
        return Row(name, kind, depth, self.inputs, self.outputs, self.parameters, 0, self.macs)


def _with_parents(name: str) -> Iterator[str]:
    """ "", "a", "a.b" of "a.b"."""
    yield ""
    parts = name.split(".") if name else []
    for end in range(1, len(parts) + 1):
        yield ".".join(parts[:end])


def _shapes(graph: Any) -> dict[str, Shape]:
    """The shape of every tensor that is known to have one; a free batch is 1."""
    shapes = {
        value.name: tuple(side.dim_value or 1 for side in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    return shapes | {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}


def _known(names: Any, shapes: dict[str, Shape]) -> tuple[Shape, ...]:
    return tuple(shapes[name] for name in names if name in shapes)
