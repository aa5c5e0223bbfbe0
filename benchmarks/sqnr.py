"""Noise of quantization by layer: YOLO-NAS S at 640 px with weights filled by a rule.

    python -m benchmarks.sqnr [--variant yolo_nas_s] [--size 640] [--json FILE]

The weights are those of the parity tests (`tests/detectors/yolo_nas/fill_rule.py`), so anybody gets
the same network without a download; calibration is on noise pictures by the same rule, and measured
on another one. Told are, for the output of every convolution, the decibels after everything
quantized before it, and of the layer alone, see `detectors.quantize.sqnr`; then the convolutions
that are left in float because they are below the least alone.
"""

import argparse
import json
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import describe
from detectors.export import export
from detectors.quantize.calibrate import METHODS, Method, clips, collect
from detectors.quantize.graph import Graph
from detectors.quantize.histogram import Histogram
from detectors.quantize.qdq import activations, groups
from detectors.quantize.sqnr import LEAST_DB, LayerNoise, layer_sqnr, weakest
from detectors.yolo_nas.architecture.model import build
from detectors.yolo_nas.checkpoints.checkpoint import read
from pipeline.core.arrays import F32
from tests.detectors.yolo_nas import fill_rule

CLASSES = 80
CALIBRATION_PICTURES = 4


def filled(variant: str, size_px: int, folder: Path) -> Path:
    """An ONNX file of that variant, every entry of its state filled from the entry's name."""
    state = {
        key: torch.from_numpy(np.array(fill_rule.fill_value(key, value.shape)))
        for key, value in build(variant, CLASSES).state_dict().items()
    }
    names = [f"class {n}" for n in range(CLASSES)]
    side = [size_px, size_px]
    content = {"net": state, "variant": variant, "class_names": names, "input_size": side}
    torch.save(content, folder / "filled.pth")
    export(read(folder / "filled.pth"), folder / "filled.onnx")
    return folder / "filled.onnx"


def noise(size_px: int) -> Iterator[F32]:
    """Calibration pictures (1, 3, size, size), each from its own name."""
    for n in range(CALIBRATION_PICTURES):
        yield fill_rule.unit(f"calibration/{n}", (1, 3, size_px, size_px)).astype(np.float32)


def measure(
    graph: Graph, histograms: Mapping[str, Histogram], shown: F32, method: Method
) -> dict[str, Any]:
    """Figures of one rule of clipping, ready for JSON."""
    tops = clips(histograms, method, groups(graph, histograms))
    everything = layer_sqnr(graph, tops, shown)
    left = weakest(graph, tops, shown)
    return {
        "method": method,
        "layers": [_row(one) for one in everything],
        "least_cumulative_db": round(min(one.cumulative_db for one in everything), 2),
        "least_alone_db": round(min(one.alone_db for one in everything), 2),
        "left_in_float": [one.layer for one in everything if one.layer in left],
    }


def _row(one: LayerNoise) -> dict[str, Any]:
    return {
        "layer": one.layer,
        "cumulative_db": round(one.cumulative_db, 2),
        "alone_db": round(one.alone_db, 2),
    }


def show(figures: dict[str, Any], methods: Sequence[str]) -> None:
    """A table on standard output: a line for each convolution."""
    print(f"{'convolution':70} cumulative dB, and alone, by rule: {', '.join(methods)}")
    for rows in zip(*(figures[method]["layers"] for method in methods), strict=True):
        cells = "  ".join(f"{row['cumulative_db']:6.2f} {row['alone_db']:6.2f}" for row in rows)
        print(f"{rows[0]['layer']:70} {cells}")
    for method in methods:
        told = figures[method]
        least = f"least {told['least_cumulative_db']} dB, alone {told['least_alone_db']} dB"
        print(f"{method}: {least}; in float for {LEAST_DB} dB: {told['left_in_float'] or 'none'}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Noise of quantization by layer.")
    parser.add_argument("--variant", default="yolo_nas_s")
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    logging.getLogger("eyrie.detectors.export").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        graph = Graph.load(filled(arguments.variant, arguments.size, Path(folder)))
    histograms = collect(graph, activations(graph), noise(arguments.size))
    shown = fill_rule.input_tensor((1, 3, arguments.size, arguments.size))
    figures = {name: measure(graph, histograms, shown, name) for name in arguments.methods}
    show(figures, arguments.methods)
    if arguments.json:
        result = {
            "machine": describe(),
            "variant": arguments.variant,
            "size_px": arguments.size,
            "least_db": LEAST_DB,
            "by_method": figures,
        }
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
