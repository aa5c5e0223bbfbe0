"""Frame messages a second that one thread gets into files and out by HTTP, and what a filter costs.

    python -m benchmarks.receivers [--out benchmarks/results/receivers.json]

Each message has 8 detections, 2 KB as JSON. Every sink gets the same messages in writes of 256
and one flush at the end, whatever turns them into finished files included; several rounds, all
sinks in turn, the best counts. The webhook's receiver is a plain HTTP server of this machine that
reads each request and answers at once. `filter` is microseconds for a message: one that takes out
half of the detections, and the new encoding that this needs.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import machine
from pipeline.core.frame_record import DetectionRow, FrameRecord, encode_producer
from pipeline.core.messages import message_id, track_uid
from sinks.base import Outgoing, Sink
from sinks.filter import Filter
from sinks.jsonl import JsonLinesSink
from sinks.line_file import Rotation
from sinks.parquet import ParquetSink
from sinks.webhook import WebhookSink
from tests.services.hook import Hook
from tests.services.streams import PRODUCER

MESSAGES, DETECTIONS, STREAMS = 10_000, 8, 4
ROUNDS, WRITE = 3, 256
FILTERED = 5000


def _record(number: int) -> FrameRecord:
    """A frame in which every second detection is a car, and boxes are anywhere."""
    seq, rng = number // STREAMS, random.Random(number)
    stream_id = f"gate-{number % STREAMS}"
    at = f"2026-01-01T00:{seq // 1000:02d}:{seq % 1000 // 20:02d}.{seq % 20 * 50000:06d}Z"
    rows = [
        DetectionRow(
            ("person", "car")[place % 2], place % 2, round(rng.random(), 4),
            [round(rng.uniform(0, 1920), 2) for _ in range(4)],
            place + 1, track_uid("run-1", stream_id, place + 1), "confirmed", float(seq * 50),
        )
        for place in range(DETECTIONS)
    ]  # fmt: skip
    return FrameRecord(
        message_id=message_id("run-1", stream_id, 0, seq, "frame"), stream_id=stream_id, epoch=0,
        seq=seq, published_at=at, producer=encode_producer(PRODUCER), pts_ns=seq * 50_000_000,
        captured_at=at, captured_source="rtcp", captured_uncertainty_ms=31.5, arrived_at=at,
        width=1920, height=1080, dropped_since_last={}, detections=rows,
    )  # fmt: skip


def _per_s(sink: Sink, messages: Sequence[Outgoing]) -> float:
    sink.open()
    began_s = time.perf_counter()
    for start in range(0, len(messages), WRITE):
        sink.write(messages[start : start + WRITE])
    sink.flush(60)
    sink.close()
    return len(messages) / (time.perf_counter() - began_s)


def _sinks(folder: Path, hook: Hook) -> dict[str, Callable[[], Sink]]:
    def jsonl(name: str, rotation: Rotation | None) -> Sink:
        return JsonLinesSink(str(folder / name / "a.jsonl"), append=True, rotation=rotation)

    gzip, zstd = (Rotation(max_bytes=8_000_000, compression=c) for c in ("gzip", "zstd"))
    return {
        "jsonl": lambda: jsonl("plain", None),
        "jsonl_gzip": lambda: jsonl("gzip", gzip),
        "jsonl_zstd": lambda: jsonl("zstd", zstd),
        "parquet": lambda: ParquetSink(folder / "tables"),
        "webhook": lambda: WebhookSink(hook.url, secret="0123456789abcdef"),
    }


def _filter_us(records: Sequence[FrameRecord]) -> float:
    only = Filter(classes={"person"})
    began_s = time.perf_counter()
    for record in records[:FILTERED]:
        kept = only.apply(record)
        assert kept is not None
        Outgoing.of(kept)
    return (time.perf_counter() - began_s) / FILTERED * 1e6


def measure() -> dict[str, float]:
    """Messages a second by sink, microseconds by `filter`, bytes for a message."""
    records = [_record(number) for number in range(MESSAGES)]
    messages = [Outgoing.of(record) for record in records]
    best: dict[str, float] = {}
    filtered_us: list[float] = []
    table_bytes: list[int] = []
    with Hook() as hook:
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as folder:
                for name, make in _sinks(Path(folder), hook).items():
                    best[name] = max(best.get(name, 0), _per_s(make(), messages))
                tables = (Path(folder) / "tables").rglob("*.parquet")
                table_bytes.append(sum(path.stat().st_size for path in tables))
            filtered_us.append(_filter_us(records))
            hook.posts.clear()
            hook.taken.clear()
    json_bytes = sum(len(message.body) for message in messages) / MESSAGES
    return {
        **{f"{name}_messages_per_s": round(rate) for name, rate in best.items()},
        "filter_us": round(min(filtered_us), 2),
        "json_bytes": round(json_bytes),
        "parquet_bytes": round(min(table_bytes) / MESSAGES),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    out = parser.parse_args().out
    result = {"machine": machine.describe(), **measure()}
    text = json.dumps(result, indent=2)
    print(text)
    if out is not None:
        out.write_text(text + "\n")


if __name__ == "__main__":
    main()
