"""How much noise 8 bits add, layer by layer: signal to quantization noise, in decibels.

10 log10 of the sum of squares of the float values over that of their differences from the
quantized ones: noise of a tenth of the signal is 20 dB.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import NodeProto

from detectors.quantize.calibrate import run
from detectors.quantize.graph import Graph
from detectors.quantize.placement import CONVOLUTIONS, Placement
from detectors.quantize.qdq import activation_scale, quantize, quantize_kernel
from pipeline.core.arrays import F32, AnyArray

LEAST_DB = 15.0


@dataclass(frozen=True, slots=True)
class LayerNoise:
    """One convolution, with the ReLU that alone follows it; infinity is no noise at all.

    `cumulative_db`: as everything quantized up to its output leaves it. `alone_db`: with float
    values before it, so the noise of its own input, kernel and output in 8 bits; also told of
    layers that stay float, as it would be.
    """

    layer: str
    quantized: bool
    cumulative_db: float
    alone_db: float


def layer_sqnr(
    graph: Graph,
    ranges: Mapping[str, float],
    images: F32,
    *,
    skip: Collection[str] = (),
) -> list[LayerNoise]:
    """The noise of every convolution in the order of the graph, over all of `images` (B, 3, H, W),
    when those named in `skip` stay float; `ranges` are of `activations(graph)`.

    Computed node by node, so that the figures are the same on every processor. Blocks. Raises as
    `detectors.quantize.qdq.quantize` and `detectors.quantize.calibrate.run`.
    """
    batches = [images[n : n + 1] for n in range(len(images))]
    layers = [node for node in graph.nodes if node.op_type in CONVOLUTIONS]
    placement = Placement(graph, skip)
    made = [placement.after_relu(node) for node in layers]
    grids = [_dequantized(name) if name in placement.tensors else name for name in made]
    model, alone = _each_alone(graph, ranges, layers)
    count = len(layers)
    signal, noise, noise_alone = np.zeros((3, count))
    together = run(quantize(graph, ranges, skip=skip), grids, batches, as_written=True)
    apart = run(model, [*made, *alone], batches, as_written=True)
    for quantized, values in zip(together, apart, strict=True):
        for n in range(count):
            signal[n] += _energy(values[n])
            noise[n] += _energy(values[n] - quantized[n])
            noise_alone[n] += _energy(values[n] - values[count + n])
    found = zip(layers, _decibels(signal, noise), _decibels(signal, noise_alone), strict=True)
    return [LayerNoise(node.name, node.name not in skip, *both) for node, *both in found]


def weakest(
    graph: Graph,
    ranges: Mapping[str, float],
    images: F32,
    *,
    skip: Collection[str] = (),
    least_db: float = LEAST_DB,
) -> set[str]:
    """`skip` and the further convolutions to leave in float: those whose `alone_db` is below
    `least_db`, spoilt by their own grids.

    What is noisy only because of what came before, leaving it in float would not make better;
    whether it matters shows in average precision. Blocks. Raises as `layer_sqnr`.
    """
    measured = layer_sqnr(graph, ranges, images, skip=skip)
    return {*skip, *(one.layer for one in measured if one.alone_db < least_db)}


def _each_alone(
    graph: Graph, ranges: Mapping[str, float], layers: Iterable[NodeProto]
) -> tuple[onnx.ModelProto, list[str]]:
    """The float graph with a quantized twin beside each convolution, which reads the same float
    values; and the tensors that the twins make."""
    placement = Placement(graph)
    nodes = list(graph.nodes)
    constants: dict[str, AnyArray] = dict(graph.constants)
    written: set[str] = set()
    outputs = []
    for node in layers:
        source, made = str(node.input[0]), placement.after_relu(node)
        if source not in written:
            nodes += _pair(source, f"{source}.alone", ranges[source], constants)
            written.add(source)
        name = f"{made}.twin"
        nodes += _twin(node, source, name, constants, relu=made != node.output[0])
        if made in placement.tensors:
            nodes += _pair(name, f"{name}.alone", ranges[made], constants)
            name += ".alone"
        outputs.append(name)
    return graph.rebuilt(nodes, constants), outputs


def _twin(
    node: NodeProto, source: str, made: str, constants: dict[str, AnyArray], *, relu: bool
) -> Iterator[NodeProto]:
    """`node` with a rounded kernel and its float bias, from the quantized `source` to `made`."""
    copy = NodeProto()
    copy.CopyFrom(node)
    axis = 0 if node.op_type == "Conv" else 1
    integers, scale = quantize_kernel(constants[node.input[1]].astype(np.float32), axis)
    shape = [-1 if n == axis else 1 for n in range(integers.ndim)]
    copy.name = f"{node.name}.twin"
    copy.input[0], copy.input[1] = f"{source}.alone", f"{node.name}.twin.kernel"
    constants[copy.input[1]] = integers * scale.reshape(shape)
    copy.output[0] = f"{made}.sum" if relu else made
    yield copy
    if relu:
        yield onnx.helper.make_node("Relu", [copy.output[0]], [made])


def _pair(
    source: str, made: str, top: float, constants: dict[str, AnyArray]
) -> tuple[NodeProto, NodeProto]:
    """`made` is `source` on a grid of 127 steps up to `top`."""
    how = [f"{made}.scale", f"{made}.zero"]
    constants[how[0]] = np.array(activation_scale(top), np.float32)
    constants[how[1]] = np.array(0, np.int8)
    integers = f"{made}.integers"
    return (
        onnx.helper.make_node("QuantizeLinear", [source, *how], [integers]),
        onnx.helper.make_node("DequantizeLinear", [integers, *how], [made]),
    )


def _dequantized(name: str) -> str:
    """As `detectors.quantize.qdq` names the values of a tensor off its grid."""
    return f"{name}.dequantized"


def _energy(values: F32) -> float:
    return float(np.square(values, dtype=np.float64).sum())


def _decibels(signal: AnyArray, noise: AnyArray) -> list[float]:
    return [
        10 * math.log10(s / n) if s > 0 and n > 0 else (math.inf if n == 0 else -math.inf)
        for s, n in zip(signal.tolist(), noise.tolist(), strict=True)
    ]
