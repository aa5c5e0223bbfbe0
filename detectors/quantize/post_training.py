"""Post-training quantization: a float model and pictures in, an INT8 model out."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import onnx

from detectors.quantize.calibrate import collect
from detectors.quantize.graph import Graph
from detectors.quantize.qdq import Scheme, activations, quantize
from detectors.training.data import read_dataset, read_image
from detectors.yolo_nas.detector import Description
from detectors.yolo_nas.processing import Processing
from pipeline.core.arrays import F32
from pipeline.core.errors import EngineLoadError

Method = Literal["mse", "percentile"]
FLOAT_PARTS = ("_pred/",)


def quantize_file(
    source: Path,
    calibrate: str,
    out: Path,
    *,
    pictures: int = 200,
    method: Method = "mse",
    signed: bool = False,
    skip: Sequence[str] = FLOAT_PARTS,
    seed: int = 0,
) -> int:
    """Write `out` from the FP32 file `source`; returns the number of quantized activations.

    `pictures` of the split train of the data set `calibrate` show the ranges of activations.
    `signed` is the form for TensorRT: int8 with zero point 0 throughout. Nodes with one of `skip`
    in their name stay float. Raises `EngineLoadError` for a file that is no FP32 model of ours.
    """
    graph = Graph.load(source)
    metadata = {entry.key: entry.value for entry in graph.model.metadata_props}
    if metadata.get("eyrie.precision") == "int8":
        raise EngineLoadError(f"model {source}: is quantized already; give the FP32 file")
    processing = Description.read(metadata, source.name).processing
    left = [n.name for n in graph.nodes if any(part in n.name for part in skip)]
    tensors = activations(graph, left)
    float_model = graph.rebuilt(graph.nodes, graph.constants)
    shown = _calibration(calibrate, pictures, processing, seed)
    histograms = collect(float_model, tensors, shown)
    scheme = Scheme(signed=signed, method=method)
    model = quantize(graph, histograms, scheme, skip=left)
    onnx.helper.set_model_props(model, metadata | {"eyrie.precision": "int8"})
    out.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, out)
    return len(tensors)


def _calibration(location: str, count: int, processing: Processing, seed: int) -> Iterator[F32]:
    """`count` training pictures of a data set, as batches of one."""
    pictures = read_dataset(location, "train").pictures
    for picture in random.Random(seed).sample(pictures, min(count, len(pictures))):
        yield processing.prepare(read_image(picture.path))[0][None]
