"""`python -m detectors.quantize FP32.onnx --calibrate FOLDER --out INT8.onnx`."""

from __future__ import annotations

import argparse
import logging
import random
from collections.abc import Iterator
from pathlib import Path

import onnx

from detectors.letterbox import Letterbox
from detectors.quantize.calibrate import collect
from detectors.quantize.graph import Graph
from detectors.quantize.qdq import Scheme, activations, quantize
from detectors.training.data import read_image, read_index
from detectors.yolo_nas.detector import Description
from pipeline.core.arrays import F32

log = logging.getLogger(__name__)


def calibration(folder: Path, count: int, letterbox: Letterbox, seed: int) -> Iterator[F32]:
    """`count` training pictures of a folder with an index, as batches of one."""
    pictures = read_index(folder, "train")
    for picture in random.Random(seed).sample(pictures, min(count, len(pictures))):
        yield letterbox.apply(read_image(picture.path))[0][None]


def main() -> None:
    """Quantize as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m detectors.quantize", description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--calibrate", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--method", choices=["mse", "percentile"], default="mse")
    parser.add_argument("--signed", action="store_true", help="int8 with zero point 0 throughout")
    parser.add_argument(
        "--skip", nargs="*", default=["_pred/"], help="parts of names left in float"
    )
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    graph = Graph.load(args.model)
    metadata = {entry.key: entry.value for entry in graph.model.metadata_props}
    letterbox = Description.read(metadata, args.model.name).letterbox
    skip = [n.name for n in graph.nodes if any(part in n.name for part in args.skip)]
    tensors = activations(graph, skip)
    float_model = graph.rebuilt(graph.nodes, graph.constants)
    pictures = calibration(args.calibrate, args.pictures, letterbox, args.seed)
    histograms = collect(float_model, tensors, pictures)
    scheme = Scheme(signed=args.signed, method=args.method)
    model = quantize(graph, histograms, scheme, skip=skip)
    onnx.helper.set_model_props(model, metadata | {"eyrie.precision": "int8"})
    onnx.save(model, args.out)
    log.info("%s: %d tensors, %.2f MB", args.out, len(tensors), args.out.stat().st_size / 1e6)


if __name__ == "__main__":
    main()
