"""The network alone, on the same tensor again and again."""

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from detectors.base import Engine
from detectors.engines.open import open_engine
from detectors.letterbox import Letterbox
from pipeline.bench.child.whole import configure
from pipeline.bench.job import Job
from pipeline.build.detector import engine_options
from pipeline.core.arrays import AnyArray


def load(job: Job) -> tuple[Callable[[Callable[[], None]], dict[str, Any]], dict[str, Any]]:
    """A round runs as many batches as hold the frames, in as many threads as the engine takes."""
    config = configure(job, Path(tempfile.mkdtemp(prefix="eyrie-bench-")))
    path, options = Path(config.model.name), engine_options(config)
    engine = open_engine(path, options)
    size = _size(engine, job, follows=config.model.input_shape == "follow")
    if size != (job.height, job.width):
        engine.close()
        engine = open_engine(path, replace(options, size=size))
    tensor = _tensor(engine, size, job.batch)
    engine.run(tensor)
    batches = -(-job.frames_total // job.batch)

    def work(begin: Callable[[], None]) -> dict[str, Any]:
        begin()
        with ThreadPoolExecutor(engine.concurrency) as pool:
            for result in [pool.submit(engine.run, tensor) for _ in range(batches)]:
                result.result()
        return {"frames": batches * job.batch}

    return work, {"engine": engine.name, "precision": engine.precision, "input": list(size)}


def _size(engine: Engine, job: Job, *, follows: bool) -> tuple[int, int]:
    """Height and width of the network for the job's pictures."""
    own = Letterbox(job.height, job.width, follows=follows and engine.can_be_sized)
    box = own.of(job.picture_height, job.picture_width)
    return box.height, box.width


def _tensor(engine: Engine, size: tuple[int, int], batch: int) -> AnyArray:
    """Random pictures in the form that the engine takes."""
    spec = engine.inputs[0]
    sides = (*size, 3) if spec.grid is not None else (3, *size)
    pixels = np.random.default_rng(0).integers(0, 256, (batch, *sides), dtype=np.uint8)
    return pixels if spec.dtype == "uint8" else pixels.astype(spec.dtype) / np.float32(255)
