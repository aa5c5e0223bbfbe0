"""How long engines take on a GPU, taking turns so that a busy or a throttled GPU is so for all."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from detectors.engines.tensorrt import TensorRtEngine
from detectors.yolo_nas.gpu.detector import YoloNasCudaDetector
from pipeline.core.arrays import U8

WARM_ROUNDS = 3
IN_FLIGHT = 10

Key = tuple[str, int]
"""Name of an engine, batch size."""


def time_engines(
    engines: Mapping[str, TensorRtEngine], batches: Sequence[int], rounds: int
) -> dict[Key, dict[str, float]]:
    """Of each engine and batch: the latency in ms of one batch that is waited for (median and
    least), and the pictures a second of batches given one behind the other. The input lies on the
    GPU, the outputs stay there."""
    latency_ms: dict[Key, list[float]] = {}
    per_s: dict[Key, list[float]] = {}
    for turn in range(rounds + WARM_ROUNDS):
        for batch in batches:
            for name, engine in engines.items():
                one_s, many_s = _spent(engine, batch, 1), _spent(engine, batch, IN_FLIGHT)
                if turn >= WARM_ROUNDS:
                    latency_ms.setdefault((name, batch), []).append(one_s * 1e3)
                    per_s.setdefault((name, batch), []).append(batch * IN_FLIGHT / many_s)
    return {
        key: {
            "latency_ms_median": round(float(np.median(taken)), 4),
            "latency_ms_least": round(min(taken), 4),
            "pictures_per_s": round(float(np.median(per_s[key])), 1),
        }
        for key, taken in latency_ms.items()
    }


def _spent(engine: TensorRtEngine, batch: int, times: int) -> float:
    """Seconds for so many batches, from an idle GPU to an idle GPU."""
    buffers = engine.input_buffers(batch)
    engine.stream.synchronize()
    start_s = time.perf_counter()
    for _ in range(times):
        engine.run_cuda(*buffers)
    engine.stream.synchronize()
    return time.perf_counter() - start_s


def time_detector(
    detector: YoloNasCudaDetector, images: Sequence[U8], batch: int, rounds: int
) -> dict[str, Any]:
    """Pictures a second of whole detections: upload, letterbox, network, suppression, download."""
    given = [images[n % len(images)] for n in range(batch)]
    per_s = []
    for turn in range(rounds + WARM_ROUNDS):
        start_s = time.perf_counter()
        detector.detect(given)
        if turn >= WARM_ROUNDS:
            per_s.append(batch / (time.perf_counter() - start_s))
    height, width = images[0].shape[:2]
    median = round(float(np.median(per_s)), 1)
    return {"picture": f"{width}x{height}", "batch": batch, "pictures_per_s": median}
