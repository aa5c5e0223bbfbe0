"""Post-training quantization: a float model and pictures in, an INT8 model out."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx

from detectors.quantize.calibrate import METHODS, Method, clips, collect
from detectors.quantize.graph import Graph
from detectors.quantize.histogram import Histogram
from detectors.quantize.qdq import activations, groups, quantize
from detectors.quantize.sqnr import weakest
from detectors.training.data import Picture, read_dataset, read_image
from detectors.yolo_nas.attach_proof import attach
from detectors.yolo_nas.detector import Description
from detectors.yolo_nas.processing import Processing
from pipeline.core.arrays import F32
from pipeline.core.errors import ConfigError, EngineLoadError
from pipeline.core.log import get_logger, one_line

PRECISION_KEY, QUANTIZATION_KEY = "eyrie.precision", "eyrie.quantization"
NEWEST_OPSET = 21
FLOAT_PARTS = ("_pred/",)
PICTURES = 200
SAMPLES = 4

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A float model and how large its activations get: all that its quantized forms need.

    `ranges` are of every tensor that any choice of layers may quantize, by some method from
    `histograms`, which are missing where ranges were learned; `samples` (B, 3, H, W) are the first
    few of the pictures shown. `metadata` are the float file's, and `told` is what the quantized
    file says of this calibration.
    """

    graph: Graph
    ranges: Mapping[str, float]
    samples: F32
    processing: Processing
    metadata: Mapping[str, str]
    told: Mapping[str, object]
    histograms: Mapping[str, Histogram] = field(default_factory=dict)


def calibrated(
    source: Path,
    data: str,
    *,
    pictures: int | None = None,
    method: Method = "mse",
    seed: int = 0,
    done: Callable[[int], object] = lambda _: None,
) -> Calibration:
    """Show the FP32 file `source` pictures of the split train of the data set `data`.

    Exactly `pictures` of them, drawn by `seed`, one at a time; without a number `PICTURES`, or all
    where there are fewer. One that cannot be read is told in the log, and another drawn. `done`
    hears how many it were so far. Blocks. Raises `EngineLoadError` for a file that is no FP32
    model of ours, and `ConfigError` when the data has fewer pictures than asked.
    """
    if method not in METHODS:
        raise ConfigError("method", f"{method!r} is none of {', '.join(METHODS)}")
    graph, metadata = read_float(source)
    processing = Description.read(metadata, source.name).processing
    shown = _Shown(data, pictures, processing, seed, done)
    try:
        histograms = collect(graph, activations(graph), shown)
    except EngineLoadError as error:
        raise EngineLoadError(f"model {source}: {error}") from error
    told = {"pictures": shown.count, "seed": seed, "data": Path(data).name}
    samples = np.concatenate(shown.first)
    unclipped = Calibration(graph, {}, samples, processing, metadata, told, histograms)
    return clipped(unclipped, method)


def clipped(calibration: Calibration, method: Method) -> Calibration:
    """The same with ranges by `method`, from the pictures shown already."""
    graph, histograms = calibration.graph, calibration.histograms
    ranges = clips(histograms, method, groups(graph, histograms))
    largest = _largest_input(calibration.processing)
    ranges |= {name: largest for name in _inputs(graph) if name in ranges}
    return replace(calibration, ranges=ranges, told={**calibration.told, "method": method})


def quantized(
    calibration: Calibration,
    skip: Collection[str] = (),
    evidence: Mapping[str, object] | None = None,
) -> onnx.ModelProto:
    """The INT8 model with the convolutions named in `skip` left in float; `evidence`, JSON values,
    says why these. Both are in its metadata, under `eyrie.quantization`.

    Raises ValueError for a name that is no convolution of the graph.
    """
    graph = calibration.graph
    model = quantize(graph, calibration.ranges, skip=skip)
    left = [name for name in graph.layer_names() if name in skip]
    told = {**calibration.told, "float": left, "evidence": dict(evidence or {})}
    of_form = {PRECISION_KEY: "int8", QUANTIZATION_KEY: json.dumps(told)}
    onnx.helper.set_model_props(model, {**calibration.metadata, **of_form})
    return model


def quantize_file(
    source: Path,
    calibrate: str,
    out: Path,
    *,
    pictures: int | None = None,
    method: Method = "mse",
    skip: Sequence[str] = FLOAT_PARTS,
    seed: int = 0,
    done: Callable[[int], object] = lambda _: None,
) -> int:
    """Write `out` from the FP32 file `source`; returns the number of quantized convolutions.

    Convolutions with one of `skip` in their name stay float, and so do those that
    `detectors.quantize.sqnr.weakest` finds too noisy. See `calibrated` for the rest.
    """
    calibration = calibrated(
        source, calibrate, pictures=pictures, method=method, seed=seed, done=done
    )
    graph, ranges = calibration.graph, calibration.ranges
    layers = graph.layer_names()
    unwanted = {name for name in layers if any(part in name for part in skip)}
    left = weakest(graph, ranges, calibration.samples, skip=unwanted)
    model = quantized(calibration, left, {"too_noisy": sorted(left - unwanted)})
    out.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, out)
    attach(out)
    return len(layers) - len(left)


def read_float(source: Path) -> tuple[Graph, dict[str, str]]:
    """Graph and metadata of a file to quantize. Raises `EngineLoadError` when it is damaged, in
    an opset that not every engine reads, or quantized already."""
    try:
        graph = Graph.load(source)
        onnx.checker.check_model(graph.model)
    except OSError as error:
        raise EngineLoadError(f"model {source}: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, onnx.checker.ValidationError) as error:
        why = one_line(str(error))[:200]
        raise EngineLoadError(f"model {source}: is damaged: {why}; export it again") from error
    for opset in graph.model.opset_import:
        if opset.domain in ("", "ai.onnx") and opset.version > NEWEST_OPSET:
            raise EngineLoadError(
                f"model {source}: is in opset {opset.version}, and not every engine reads more "
                f"than {NEWEST_OPSET}; export it with `eyrie model export`"
            )
    metadata = {entry.key: entry.value for entry in graph.model.metadata_props}
    kinds = {node.op_type for node in graph.nodes}
    if metadata.get(PRECISION_KEY) == "int8" or "QuantizeLinear" in kinds:
        raise EngineLoadError(f"model {source}: is quantized already; give the FP32 file")
    return graph, metadata


class _Shown:
    """Training pictures of a data set, as batches of one; `count` of them, `first` the first."""

    def __init__(
        self,
        data: str,
        asked: int | None,
        processing: Processing,
        seed: int,
        done: Callable[[int], object],
    ) -> None:
        if asked is not None and asked < 1:
            raise ConfigError("pictures", f"calibration needs at least 1 picture, not {asked}")
        pictures = read_dataset(data, "train").pictures
        self.count = min(PICTURES, len(pictures)) if asked is None else asked
        if self.count > len(pictures):
            raise ConfigError(data, self._too_few(len(pictures)))
        self._drawn = random.Random(seed).sample(pictures, len(pictures))
        self._data, self._processing, self._done = data, processing, done
        self.first: list[F32] = []

    def __iter__(self) -> Iterator[F32]:
        given = 0
        for picture in self._drawn:
            batch = self._batch(picture)
            if batch is None:
                continue
            if given < SAMPLES:
                self.first.append(batch)
            yield batch
            given += 1
            self._done(given)
            if given == self.count:
                return
        raise ConfigError(self._data, self._too_few(given))

    def _batch(self, picture: Picture) -> F32 | None:
        try:
            return self._processing.prepare_batch([read_image(picture.path)])[0]
        except ValueError as error:
            log.warning("calibration: %s; another picture takes its place", error)
            return None

    def _too_few(self, there: int) -> str:
        return (
            f"has {there} readable pictures of the split 'train', and {self.count} were asked for; "
            f"ask for at most {there}"
        )


def _inputs(graph: Graph) -> list[str]:
    return [str(value.name) for value in graph.model.graph.input]


def _largest_input(processing: Processing) -> float:
    """The largest magnitude that a pixel can become: known, so never clipped."""
    ends = [
        abs(value - mean) / std
        for mean, std in zip(processing.mean, processing.std, strict=True)
        for value in (0, 255)
    ]
    return max(ends)
