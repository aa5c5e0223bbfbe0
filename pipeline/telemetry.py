"""The account of a run: what was decoded, published and dropped, stream by stream.

For every stream, at any stop: `decoded = published + sum(dropped)`.
"""

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from pipeline.core.messages import Condition, DropReason
from stages.base import Times

LoadStage = Literal["full", "skip", "slow", "below_floor"]


@dataclass(slots=True)
class LoadReport:
    """Whether live streams give way because the engine does not keep up; see `docs/load.md`."""

    stage: LoadStage = "full"
    since_ns: int | None = None
    """UTC, when it began; None: all frames pass."""
    keep: dict[str, float] = field(default_factory=dict)
    """Share of its frames that is let through, for every stream that does not keep all."""
    times: int = 0
    """How often it has begun in this run."""
    degraded_s: float = 0.0
    """How long it has lasted in this run, all times together."""

    @property
    def degraded(self) -> bool:
        """Whether frames are left out now."""
        return self.stage != "full"


@dataclass(slots=True)
class Connections:
    """What became of the connections of one stream; its own thread counts."""

    up: int = 0
    """Those that gave a picture."""
    failed: int = 0
    """Tries that failed, and connections that were lost."""
    denied: int = 0
    """Of these, refused for the user or the password."""
    abandoned: int = 0
    """Decoders that hung in native code and were left behind."""
    hung: int = 0
    """Of these, still there: each holds a thread, a socket and some pictures."""


class StreamAccount:
    """Counts of one stream. Threads of decoding, detecting and publishing all write to it."""

    def __init__(self, stream_id: str) -> None:
        self.stream_id = stream_id
        self.connections = Connections()
        self.chaos: dict[str, int] = {}
        self.times = Times()
        self.undecoded = 0
        self._lock = threading.Lock()
        self._decoded = 0
        self._published = 0
        self._dropped: Counter[DropReason] = Counter()
        self._unreported: list[tuple[int, DropReason]] = []

    def decode(self) -> int:
        """One more frame is decoded: its `seq`."""
        with self._lock:
            self._decoded += 1
            return self._decoded - 1

    def drop(self, seq: int, reason: DropReason) -> None:
        """A decoded frame will not be published."""
        with self._lock:
            self._dropped[reason] += 1
            self._unreported.append((seq, reason))

    def publish(self, seq: int) -> dict[DropReason, int]:
        """A frame is published: the drops since the one before it, by reason.

        Frames of a stream are published in order, so every drop before `seq` is known by now.
        """
        with self._lock:
            self._published += 1
            before: Counter[DropReason] = Counter(r for s, r in self._unreported if s < seq)
            self._unreported = [(s, r) for s, r in self._unreported if s >= seq]
            return dict(before)

    @property
    def next_seq(self) -> int:
        """`seq` of the next frame to be decoded."""
        return self._decoded

    @property
    def settled(self) -> bool:
        """True when every decoded frame is published or dropped."""
        with self._lock:
            return self._decoded == self._published + self._dropped.total()

    def totals(self) -> tuple[int, int, dict[DropReason, int]]:
        """Decoded, published, dropped by reason: one consistent snapshot."""
        with self._lock:
            return self._decoded, self._published, dict(self._dropped)


@dataclass(slots=True)
class StreamReport:
    """What became of one stream."""

    stream_id: str
    decoded: int = 0
    published: int = 0
    dropped: dict[DropReason, int] = field(default_factory=dict)
    frames_expected: int | None = None
    connections: Connections = field(default_factory=Connections)
    chaos: dict[str, int] = field(default_factory=dict)
    """Faults that were made on purpose, by kind."""
    times: Times = field(default_factory=Times)
    undecoded: int = 0
    """Pictures that the decoder passed over because of `decode`; they are not in `decoded`."""
    oldest_s: float = 0.0
    """Longest time that a frame waited for the engine and was taken by it."""
    started_s: float = 0.0
    last_frame_s: float = 0.0
    detections: Counter[str] = field(default_factory=Counter)
    tracks: Counter[str] = field(default_factory=Counter)
    crossings: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By (line, direction, label)."""
    impairments: Counter[Condition] = field(default_factory=Counter)
    """How often something was wrong with the pictures, by what."""
    impaired: set[Condition] = field(default_factory=set)
    """What is wrong now."""
    error: str | None = None
    ended: bool = False
    """Its end was told."""

    @property
    def fps(self) -> float:
        """Published frames a second of wall time, from the start of the run to the last frame."""
        elapsed_s = self.last_frame_s - self.started_s
        return self.published / elapsed_s if elapsed_s > 0 else 0.0


@dataclass(slots=True)
class SinkReport:
    """What became of the messages for one sink: `offered = delivered + undelivered`."""

    sink: str
    delivered: int = 0
    undelivered: int = 0
    error: str | None = None


@dataclass(slots=True)
class Report:
    """The account of a run."""

    streams: list[StreamReport]
    sinks: list[SinkReport]
    error: str | None = None
    """What befell the run as a whole, such as a drain that was not done in time."""
    load: LoadReport = field(default_factory=LoadReport)

    @property
    def errors(self) -> list[str]:
        """One line for the run, and for each stream or sink, that failed."""
        errors = [self.error, *(stream.error for stream in self.streams)]
        errors += [sink.error for sink in self.sinks]
        return [error for error in errors if error is not None]
