"""How large activations get: pictures go through the float graph, and a range comes out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import onnx
import onnxruntime

from detectors.quantize.clipping import METHODS, Method, clip
from detectors.quantize.graph import Graph
from detectors.quantize.histogram import Histogram
from detectors.quantize.placement import groups
from pipeline.core.arrays import F32
from pipeline.core.errors import EngineLoadError, EngineRunError
from pipeline.core.log import one_line

__all__ = ["METHODS", "Histogram", "Method", "clips", "collect", "ranges", "run"]


def ranges(
    graph: Graph, tensors: Collection[str], batches: Iterable[F32], method: Method
) -> dict[str, float]:
    """The largest magnitude that each of `tensors` is to represent, see `clips`; those that share
    a grid share it, also where only a part of the convolutions is quantized later.

    Every batch (B, 3, H, W) of `batches` is run, once. Blocks. Raises as `collect`.
    """
    return clips(collect(graph, tensors, batches), method, groups(graph, tensors))


def clips(
    histograms: Mapping[str, Histogram], method: Method, shared: Iterable[Collection[str]] = ()
) -> dict[str, float]:
    """A clip for each tensor by one rule of `detectors.quantize.clipping`; the tensors of each
    group of `shared` have one, from all their values together."""
    found: dict[str, float] = {}
    for group in shared:
        joint = clip(Histogram.joined(histograms[name] for name in group), method)
        found |= dict.fromkeys(group, joint)
    for name, histogram in histograms.items():
        if name not in found:
            found[name] = clip(histogram, method)
    return found


def collect(graph: Graph, tensors: Iterable[str], batches: Iterable[F32]) -> dict[str, Histogram]:
    """Run all of `batches` through the graph and count the values of `tensors`.

    Memory does not grow with their number. Raises `EngineLoadError` when ONNX Runtime does not
    take the graph, `EngineRunError` when it cannot run it or a tensor becomes infinite or no
    number, and ValueError when there is no batch.
    """
    histograms = {name: Histogram() for name in tensors}
    empty = True
    model = graph.rebuilt(graph.nodes, graph.constants)
    for outputs in run(model, list(histograms), batches):
        empty = False
        for (name, histogram), values in zip(histograms.items(), outputs, strict=True):
            try:
                histogram.add(values)
            except ValueError as error:
                raise EngineRunError(f"calibration: tensor {name!r} {error}") from error
    if empty:
        raise ValueError("no batch to calibrate on")
    return histograms


def run(
    model: onnx.ModelProto,
    tensors: Sequence[str],
    batches: Iterable[F32],
    *,
    as_written: bool = False,
) -> Iterator[list[F32]]:
    """For each batch, the values of `tensors`, inner ones too, on ONNX Runtime.

    `as_written` computes node by node, integers between a QuantizeLinear and a DequantizeLinear in
    float32: slower, and the same on every processor. Raises `EngineLoadError` and `EngineRunError`.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its errors arrive as exceptions
    if as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(
            _showing(model, tensors), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        why = one_line(str(error))[:300]
        raise EngineLoadError(f"ONNX Runtime does not take the graph: {why}") from error
    source = session.get_inputs()[0].name
    for batch in batches:
        try:
            outputs = session.run(list(tensors), {source: batch})
        except Exception as error:
            why = one_line(str(error))[:300]
            raise EngineRunError(f"the graph cannot be run: {why}") from error
        yield outputs


def _showing(model: onnx.ModelProto, tensors: Sequence[str]) -> bytes:
    """The model with `tensors` among its outputs."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    kept = {output.name for output in watched.graph.output}
    watched.graph.output.extend(
        onnx.helper.make_empty_tensor_value_info(name) for name in tensors if name not in kept
    )
    return bytes(watched.SerializeToString())
