"""Stores in a model file what it answers to the pictures of the check at start.

    python -m detectors.yolo_nas.attach_proof FILE [FILE ...]

`eyrie model export` and `eyrie model quantize` do so themselves; this is for files made before, and
after the pictures were drawn anew. Do it with a file that is known to be good: what it answers now,
on ONNX Runtime, is what engines will be held against. Answers that the file holds for the same
pictures in another precision stay, so an INT8 file made from one with answers has both.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import onnx

from detectors.engines.onnxruntime import OnnxRuntimeEngine
from detectors.yolo_nas.detector import Description
from detectors.yolo_nas.proof import PROOF_KEY, proof_of


def attach(path: Path) -> None:
    """Rewrite `path` with its answers in the metadata. Raises `EngineLoadError` or `EngineRunError`
    when it is no YOLO-NAS model or cannot be run."""
    engine = OnnxRuntimeEngine(path)
    try:
        processing = Description.read(engine.metadata, path.name).processing
        metadata = engine.metadata | {PROOF_KEY: proof_of(engine, processing)}
    finally:
        engine.close()
    model = onnx.load(path)
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Store the answers of model files in them.")
    parser.add_argument("files", nargs="+", type=Path)
    for path in parser.parse_args().files:
        attach(path)
        sys.stdout.write(f"{path}: {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
