"""Microseconds of CPU for one frame message with 20 detections, from arrays to bytes.

    python -m benchmarks.encoding [--out benchmarks/results/encoding.json]

`compose` is `Composer.frame` with a tracker whose answer is known, so all but tracking; `json`
makes the bytes of it. `model` is the slow way: the same message as a checked model, made and
written by pydantic. `avro` goes from the JSON bytes to the compact form. Each number is the best of
many turns, all ways in turn, so that what else the machine does falls on none alone.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from pipeline.account import StreamAccount
from pipeline.compose.composer import Composer
from pipeline.core.arrays import F32, I32
from pipeline.core.avro import encode_avro
from pipeline.core.clock import SystemClock
from pipeline.core.detections import Detections
from pipeline.core.frame import FrameInfo
from pipeline.core.frame_record import FrameRecord
from pipeline.core.messages import Detection, FrameMessage, Model, Producer, encode
from pipeline.core.tracks import Tracks
from stages.zones import Rules

DETECTIONS = 20
BAR_US = 40.0
TURNS, CALLS = 200, 100
LABELS = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
MODEL = Model(name="yolo_nas_n_int8", sha256="0" * 64, precision="int8", engine="onnxruntime-cpu")
PRODUCER = Producer(instance="edge-7:4211", version="0.1.0", run_id="night-7", model=MODEL)
INFO = FrameInfo(
    stream_id="gate", epoch=0, seq=14, pts_ns=1_120_000_000, captured_ns=1_764_000_000_041_000_000,
    arrived_ns=1_764_000_000_072_500_000, clock="rtcp", uncertainty_ns=31_500_000, width=1920,
    height=1080,
)  # fmt: skip


class _Known:
    """A tracker whose answer is known."""

    def __init__(self, tracks: Tracks) -> None:
        self._tracks = tracks

    def update(
        self, xyxy: F32, score: F32, class_id: I32, time_s: float | None = None, **more: object
    ) -> Tracks:
        return self._tracks

    def reset(self) -> None:
        """Nothing to forget."""


def _scene() -> tuple[Detections, Tracks]:
    """Twenty boxes, all tracked."""
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 900, (DETECTIONS, 2))
    boxes = np.concatenate([low, low + rng.uniform(20, 200, low.shape)], axis=1)
    score = np.sort(rng.uniform(0.3, 1, DETECTIONS))[::-1].astype(np.float32)
    class_id = rng.integers(0, len(LABELS), DETECTIONS).astype(np.int32)
    found = Detections(boxes.astype(np.float32), score, class_id)
    ids = np.arange(1, DETECTIONS + 1)
    none = np.empty(0, np.int64)
    return found, Tracks(found.xyxy, score, class_id, ids, np.arange(DETECTIONS), none)


def _slowly(record: FrameRecord, message: FrameMessage) -> bytes:
    """The message as models, made anew from plain values."""
    detections = [
        Detection(
            label=row.label, class_id=row.class_id, score=row.score,
            box=(row.box[0], row.box[1], row.box[2], row.box[3]), track_id=row.track_id,
            track_uid=row.track_uid, track_state=row.track_state, track_age_ms=row.track_age_ms,
        )
        for row in record.detections
    ]  # fmt: skip
    made = FrameMessage(
        message_id=record.message_id, stream_id=record.stream_id, epoch=record.epoch,
        seq=record.seq, published_at=message.published_at, producer=PRODUCER, pts_ns=record.pts_ns,
        captured_at=message.captured_at, captured_source=record.captured_source,
        captured_uncertainty_ms=record.captured_uncertainty_ms, arrived_at=message.arrived_at,
        width=record.width, height=record.height, dropped_since_last=record.dropped_since_last,
        detections=detections,
    )  # fmt: skip
    return encode(made)


def measure(turns: int = TURNS) -> dict[str, Any]:
    """CPU microseconds by way, and sizes in bytes."""
    found, tracks = _scene()
    account = StreamAccount("gate")
    composer = Composer(account, PRODUCER, LABELS, _Known(tracks), Rules(), 0.25, SystemClock())

    def compose() -> FrameRecord:
        (record,) = composer.frame(INFO, found)[0]
        assert isinstance(record, FrameRecord)
        return record

    record = compose()
    body, message = record.encode(), record.model()
    ways: dict[str, Callable[[], object]] = {
        "compose_and_json": lambda: compose().encode(),
        "compose": compose,
        "json": record.encode,
        "model": lambda: _slowly(record, message),
        "avro": lambda: encode_avro(body),
    }
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(turns):
        for name, way in ways.items():
            best[name] = min(best[name], _cpu_us(way))
    sizes = {"json": len(body), "avro": len(encode_avro(body))}
    return {"cpu_us": {name: round(us, 1) for name, us in best.items()}, "bytes": sizes}


def _cpu_us(way: Callable[[], object]) -> float:
    start_ns = time.process_time_ns()
    for _ in range(CALLS):
        way()
    return (time.process_time_ns() - start_ns) / CALLS / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the encoding of one frame message.")
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    result = {
        "detections": DETECTIONS,
        "bar_us": BAR_US,
        **measure(),
        "machine": machine.describe(),
    }
    text = json.dumps(result, indent=2) + "\n"
    print(text, end="")
    if out is not None:
        out.write_text(text)


if __name__ == "__main__":
    main()
