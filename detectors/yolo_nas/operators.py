"""Networks of a few operators, run by ONNX Runtime: what NumPy does in dozens of short calls, each
with Python's lock or letting go of it, is one call, and computed without the lock.

    python -m detectors.yolo_nas.operators

makes `NAME.onnx` of each `NAME.onnx.txt`, in ONNX's own textual form. Both are committed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.core.arrays import F32, F64, AnyArray

FOLDER: Final = Path(__file__).parent
TEXTS: Final = "*.onnx.txt"


def run(name: str, outputs: Sequence[str], feed: Mapping[str, AnyArray]) -> list[Any]:
    """These outputs of the network `name`. Any thread."""
    found: list[Any] = _session(name).run(outputs, feed)
    return found


@lru_cache(maxsize=64)
def single(value: float) -> F32:
    """(1,) of a limit; only to be read."""
    return np.array([value], np.float32)


@lru_cache(maxsize=64)
def double(value: float) -> F64:
    """The same in double precision."""
    return np.array([value], np.float64)


@cache
def _session(name: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    content = (FOLDER / f"{name}.onnx").read_bytes()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def parsed(text: Path) -> Any:
    """The `onnx.ModelProto` of a file in textual form. Raises `onnx.parser.ParseError`."""
    import onnx.parser

    model = onnx.parser.parse_model(text.read_text(encoding="utf-8"))
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    for text in FOLDER.glob(TEXTS):
        text.with_suffix("").write_bytes(parsed(text).SerializeToString())


if __name__ == "__main__":
    main()
