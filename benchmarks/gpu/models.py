"""The pair of files for YOLO-NAS S at 640 px, made without a GPU and without a download.

    python -m benchmarks.gpu.models --out FOLDER [--variant yolo_nas_s] [--size 640]

Writes `VARIANT_SIZE.onnx` and `VARIANT_SIZE_int8.onnx`. Weights and calibration are those of
`benchmarks.sqnr`: filled by a rule, so they find nothing, and take as long as any others.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import onnx

from benchmarks.sqnr import filled, noise
from detectors.quantize.calibrate import ranges
from detectors.quantize.graph import Graph
from detectors.quantize.qdq import activations, quantize


def make_pair(variant: str, size_px: int, folder: Path) -> tuple[Path, Path]:
    """The FP32 file and the INT8 file, all of its convolutions quantized."""
    folder.mkdir(parents=True, exist_ok=True)
    floating = folder / f"{variant}_{size_px}.onnx"
    integer = folder / f"{variant}_{size_px}_int8.onnx"
    with tempfile.TemporaryDirectory() as scratch:
        shutil.move(filled(variant, size_px, Path(scratch)), floating)
    graph = Graph.load(floating)
    tops = ranges(graph, activations(graph), noise(size_px), "max")
    model = quantize(graph, tops)
    metadata = {entry.key: entry.value for entry in graph.model.metadata_props}
    onnx.helper.set_model_props(model, metadata | {"eyrie.precision": "int8"})
    onnx.save(model, integer)
    return floating, integer


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a pair of files to benchmark.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variant", default="yolo_nas_s")
    parser.add_argument("--size", type=int, default=640)
    arguments = parser.parse_args()
    for path in make_pair(arguments.variant, arguments.size, arguments.out):
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
