"""A network that trains as it will be deployed: fused, and in fake 8 bits where the file is.

What is run is not the module's own code but the nodes of its exported graph, as
`placement.Placement` says: so the trained network rounds at exactly the places, with exactly the
grids, of the file that `qdq.quantize` makes. Parameters keep their names, which are also those of
the graph's constants.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import onnx
import torch
from onnx import NodeProto
from torch import Tensor, nn
from torch.nn import functional

from detectors.quantize.fake_quant import (
    INT8_MAX,
    fake_quantize,
    fake_quantize_bias,
    fake_quantize_kernel,
)
from detectors.quantize.graph import Graph
from detectors.quantize.placement import CONVOLUTIONS, Placement
from detectors.quantize.qdq import groups
from detectors.yolo_nas.architecture.fuse import fold_batch_norms
from detectors.yolo_nas.architecture.heads import RawOutput, decode
from detectors.yolo_nas.architecture.model import YoloNASModule
from detectors.yolo_nas.architecture.variants import variant
from pipeline.core.errors import EngineLoadError

LEAST_RANGE = 1e-8
INPUT = "images"
KERNEL_AXIS = {"Conv": 0, "ConvTranspose": 1}
PREDICTIONS = ("reg_pred", "cls_pred")

Settings = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Read:
    """How a step reads a tensor: off its grid or as it is; times the parameter `factor`."""

    tensor: str
    on_grid: bool
    factor: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One node of the graph; `settings` are its attributes, `done` is what no later step reads."""

    op: str
    reads: tuple[Read, ...]
    makes: str
    kernel: str | None = None
    bias: str | None = None
    integer: bool = False
    settings: Settings = ()
    done: tuple[str, ...] = ()


class FakeQuantNetwork(YoloNASModule):
    """A `YoloNASModule` in its fully fused form, batch norms folded, that rounds as its file does.

    `graph` is that of the float file, whose weights it begins with; `ranges` and `skip` are as
    `qdq.quantize` takes them. `amax` (G,) has one range for each grid: a parameter when
    `learn_ranges`, else constant. Raises `EngineLoadError` for a graph that is none of
    `detectors.export`'s, and ValueError for a missing range or an unknown name in `skip`.
    """

    amax: Tensor

    def __init__(
        self,
        name: str,
        classes: int,
        graph: Graph,
        ranges: Mapping[str, float],
        *,
        skip: Collection[str] = (),
        learn_ranges: bool = False,
    ) -> None:
        super().__init__(variant(name), classes)
        self.fuse(full=True)
        fold_batch_norms(self)
        self._load(graph)
        placement = Placement(graph, skip)
        self._predictions = self._ends(graph)
        self.steps = plan(placement, [end for ends in self._predictions for end in ends])
        self.grids = grids(placement)
        """The place in `amax` of every tensor with a grid."""
        self.requires_grad_(True)
        tops = _tops(self.grids, ranges)
        if learn_ranges:
            self.amax = nn.Parameter(tops)
        else:
            self.register_buffer("amax", tops)

    def ranges(self) -> dict[str, float]:
        """What `qdq.quantize` takes: the present range of every tensor with a grid."""
        tops = self.amax.detach().clamp(min=LEAST_RANGE).tolist()
        return {tensor: tops[place] for tensor, place in self.grids.items()}

    def forward(self, images: Tensor) -> Any:
        """As of `YoloNASModule`; it cannot be traced."""
        raw = self.raw(images)
        boxes = decode(raw.distances, raw.anchor_points, raw.strides, self.heads.bins)
        return (boxes, raw.logits.sigmoid()), raw

    def raw(self, images: Tensor) -> RawOutput:
        """As of `YoloNASModule`."""
        scales = (self.amax.clamp(min=LEAST_RANGE).double() / INT8_MAX).float()
        values, rounded = {INPUT: images}, dict[str, Tensor]()
        for step in self.steps:
            operands = [self._read(read, values, rounded, scales) for read in step.reads]
            values[step.makes] = self._made(step, operands, scales)
            for tensor in step.done:
                values.pop(tensor)
                rounded.pop(tensor, None)
        return self.heads.joined((values[a], values[b]) for a, b in self._predictions)

    def _read(
        self, read: Read, values: dict[str, Tensor], rounded: dict[str, Tensor], scales: Tensor
    ) -> Tensor:
        value = values[read.tensor]
        factor: Tensor | None = None
        if read.factor is not None:
            factor = self.get_parameter(read.factor)
        if read.on_grid:
            scale = scales[self.grids[read.tensor]]
            if read.tensor not in rounded:
                rounded[read.tensor] = fake_quantize(value, scale)
            value = rounded[read.tensor]
        return value if factor is None else value * factor

    def _made(self, step: Step, operands: list[Tensor], scales: Tensor) -> Tensor:
        settings = dict(step.settings)
        match step.op:
            case "Conv":
                return functional.conv2d(operands[0], *self._weights(step, scales), **settings)
            case "ConvTranspose":
                weights = self._weights(step, scales)
                return functional.conv_transpose2d(operands[0], *weights, **settings)
            case "Relu":
                return functional.relu(operands[0])
            case "Mul":
                return operands[0]
            case "Add":
                return operands[0] + operands[1]
            case "Concat":
                return torch.cat(operands, 1)
            case _:
                pooled: Tensor = functional.max_pool2d(operands[0], **settings)
                return pooled

    def _weights(self, step: Step, scales: Tensor) -> tuple[Tensor, Tensor]:
        assert step.kernel is not None
        assert step.bias is not None
        kernel, bias = self.get_parameter(step.kernel), self.get_parameter(step.bias)
        if not step.integer:
            return kernel, bias
        rounded, by_channel = fake_quantize_kernel(kernel, KERNEL_AXIS[step.op])
        of_input = scales[self.grids[step.reads[0].tensor]]
        return rounded, fake_quantize_bias(bias, by_channel.double() * of_input.double())

    @torch.no_grad()
    def _load(self, graph: Graph) -> None:
        for name, parameter in self.named_parameters():
            value = graph.constants.get(name)
            if value is None or value.shape != tuple(parameter.shape):
                why = f"has no constant {name} of shape {tuple(parameter.shape)}"
                raise EngineLoadError(f"the graph {why}: it is no file of eyrie model export")
            parameter.copy_(torch.from_numpy(value.astype("float32")))

    def _ends(self, graph: Graph) -> list[tuple[str, str]]:
        """The tensors of distances and logits of every level."""
        made = {
            str(node.input[1]): str(node.output[0])
            for node in graph.nodes
            if node.op_type == "Conv"
        }
        heads = [name for name, _ in self.heads.named_children()]
        distances, logits = (
            [made[f"heads.{head}.{end}.weight"] for head in heads] for end in PREDICTIONS
        )
        return list(zip(distances, logits, strict=True))


def plan(placement: Placement, wanted: Collection[str]) -> tuple[Step, ...]:
    """The steps from the input to the tensors `wanted`, in the order of the graph.

    Raises `EngineLoadError` for an operator that no network of ours has.
    """
    steps: list[Step] = []
    needed = set(wanted)
    for node in reversed(placement.graph.nodes):
        if node.output[0] in needed:
            step = _step(placement, node)
            read = dict.fromkeys(read.tensor for read in step.reads)
            steps.append(replace(step, done=tuple(name for name in read if name not in needed)))
            needed.update(read)
    return tuple(reversed(steps))


def grids(placement: Placement) -> dict[str, int]:
    """A number for every tensor with a grid; those that share one have the same."""
    leader = {name: name for name in placement.tensors}
    for group in groups(placement.graph, placement.tensors):
        leader |= dict.fromkeys(group, group[0])
    numbers = {name: place for place, name in enumerate(dict.fromkeys(leader.values()))}
    return {tensor: numbers[name] for tensor, name in leader.items()}


def _tops(places: Mapping[str, int], ranges: Mapping[str, float]) -> Tensor:
    """The range of every grid, the largest of its tensors'; 1 where all is zero."""
    tops = [0.0] * (max(places.values(), default=-1) + 1)
    for tensor, place in places.items():
        if not math.isfinite(ranges.get(tensor, math.nan)) or ranges[tensor] < 0:
            raise ValueError(f"the range of {tensor} is {ranges.get(tensor)}; it must be 0 or more")
        tops[place] = max(tops[place], ranges[tensor])
    return torch.tensor([top or 1.0 for top in tops])


def _step(placement: Placement, node: NodeProto) -> Step:
    makes, settings = str(node.output[0]), _settings(node)
    if node.op_type in CONVOLUTIONS:
        source, kernel, bias = map(str, node.input)
        integer = placement.has_integer_kernel(node)
        read = Read(source, placement.reads_integers(node, source))
        return Step(node.op_type, (read,), makes, kernel, bias, integer, settings)
    if node.op_type == "Add" and placement.adds_integers(node):
        return Step("Add", tuple(_term(placement, str(name)) for name in node.input), makes)
    if node.op_type not in ("Relu", "Mul", "Add", "Concat", "MaxPool"):
        raise EngineLoadError(f"{node.name}: no network of ours has a {node.op_type} there")
    constants = [str(name) for name in node.input if name in placement.graph.constants]
    factor = constants[0] if constants else None
    reads = (
        Read(str(name), placement.reads_integers(node, str(name)), factor)
        for name in node.input
        if name != factor
    )
    return Step(node.op_type, tuple(reads), makes, settings=settings)


def _term(placement: Placement, name: str) -> Read:
    """A term of a sum in 8 bits: its factor became a part of its scale."""
    source, _ = placement.scaled_source(name)
    if source == name:
        return Read(name, on_grid=True)
    (factor,) = (str(one) for one in placement.graph.producers[name].input if one != source)
    return Read(source, on_grid=True, factor=factor)


def _settings(node: NodeProto) -> Settings:
    """The attributes as torch calls them; those left out are at their defaults."""
    given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    pads = tuple(given.get("pads", ()))
    if pads[: len(pads) // 2] != pads[len(pads) // 2 :]:
        raise EngineLoadError(f"{node.name}: pads of {pads} are not the same on both sides")
    sides = {"stride": tuple(given.get("strides", ())), "padding": pads[: len(pads) // 2]}
    if node.op_type == "MaxPool":
        sides["kernel_size"] = tuple(given["kernel_shape"])
    return tuple((name, value) for name, value in sides.items() if value)
