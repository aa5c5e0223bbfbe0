"""What the topic holds of a span of time: frames, drops by reason, latencies."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from pipeline.core.messages import FrameMessage

SHARES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Entry:
    """A frame message, and when the broker took it in: seconds since 1970, by its own clock."""

    frame: FrameMessage
    topic_s: float


def account(entries: Iterable[Entry], began: datetime, ended: datetime) -> dict[str, Any]:
    """Of the frames that arrived from `began` to `ended`. `decoded` are the numbers from the first
    to the last of each stream and epoch: all of them were published or dropped."""
    taken = [entry for entry in entries if began <= entry.frame.arrived_at < ended]
    streams: dict[tuple[str, int], list[FrameMessage]] = {}
    for entry in taken:
        streams.setdefault((entry.frame.stream_id, entry.frame.epoch), []).append(entry.frame)
    decoded, dropped = 0, Counter[str]()
    for frames in streams.values():
        frames.sort(key=lambda frame: frame.seq)
        decoded += frames[-1].seq - frames[0].seq + 1
        for frame in frames[1:]:
            dropped.update(frame.dropped_since_last)
    told = Counter(entry.frame.captured_source for entry in taken)
    return {
        "streams_seen": len({stream_id for stream_id, _ in streams}),
        "decoded": decoded,
        "published": len(taken),
        "dropped": dict(dropped),
        "identity_holds": decoded == len(taken) + dropped.total(),
        "captured_by": dict(told),
        "capture_to_topic_ms": latencies([_late_ms(one, one.topic_s) for one in taken]),
        "capture_to_publication_ms": latencies(
            [_late_ms(one, one.frame.published_at.timestamp()) for one in taken]
        ),
        "arrival_to_topic_ms": latencies(
            [1000 * (one.topic_s - one.frame.arrived_at.timestamp()) for one in taken]
        ),
    }


def _late_ms(entry: Entry, at_s: float) -> float:
    return 1000 * (at_s - entry.frame.captured_at.timestamp())


def latencies(values_ms: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99 and the most; empty without any."""
    if not values_ms:
        return {}
    found = np.percentile(values_ms, [*SHARES, 100])
    names = [*(f"p{share}" for share in SHARES), "most"]
    return {name: round(float(value), 1) for name, value in zip(names, found, strict=True)}
