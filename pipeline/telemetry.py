"""The account of a run: what was decoded, published and dropped, stream by stream.

For every stream, at any stop: `decoded = published + sum(dropped)`.
"""

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from pipeline.core.messages import Condition, DropReason
from stages.base import Decoder, Rest, Times

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
class LatencyReport:
    """From a frame's coming into its lane, decoded, until its detections were handed to the publish
    thread: of live streams that give way. See `pipeline.pace`."""

    target_ms: float | None = None
    """`batch.latency_target_ms`; None: there is none, and batches are as configured."""
    frames: int = 0
    """Handed on in the last 10 s; the next four are of these."""
    mean_size: float = 0.0
    """Frames in a batch, those of files with them."""
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    in_time: int = 0
    """Frames of the whole run that were handed on within the target, or all where there is none."""
    missed: int = 0
    """Those that were handed on later than that."""
    late: int = 0
    """Those that were too old when their turn came, and were dropped."""
    holds: bool = True
    """False: of the last seconds' frames, more than 2 % were not in time."""
    times: int = 0
    """How often it has ceased to hold in this run."""
    arrivals_fps: float = 0.0
    """Frames a second that come to the engine; 0 without a target."""
    size: int = 0
    """Most frames of a batch, as planned now."""
    within_ms: float | None = None
    """Age of its oldest frame at which a batch below `size` starts, as planned now; None: as
    configured."""
    one_frame_ms: float = 0.0
    """What the engine takes for a batch of one frame, by what was learned; 0: nothing yet."""
    spread: float = 0.0
    """So many times as long as expected one batch in forty takes."""


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
        self.decoder: Decoder | None = None
        self.rest: Rest | None = None
        self._lock = threading.Lock()
        self._decoded = 0
        self._published = 0
        self._dropped: Counter[DropReason] = Counter()
        self._open: dict[int, Counter[DropReason]] = {}
        """Frames neither published nor dropped, by rising `seq`, with the drops right before each:
        a camera whose frames are all dropped for a month makes this no longer."""
        self._behind: Counter[DropReason] = Counter()
        """Drops behind the last of them."""

    def decode(self) -> int:
        """One more frame is decoded: its `seq`."""
        with self._lock:
            seq, self._decoded = self._decoded, self._decoded + 1
            self._open[seq], self._behind = self._behind, Counter()
            return seq

    def drop(self, seq: int, reason: DropReason) -> None:
        """A decoded frame will not be published."""
        with self._lock:
            self._dropped[reason] += 1
            drops = self._open.pop(seq)
            drops[reason] += 1
            later = next((other for other in self._open if other > seq), None)
            (self._behind if later is None else self._open[later]).update(drops)

    def publish(self, seq: int) -> dict[DropReason, int]:
        """A frame is published: the drops since the one before it, by reason.

        Frames of a stream are published in order, so every drop before `seq` is known by now.
        """
        with self._lock:
            self._published += 1
            return dict(self._open.pop(seq, {}))

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
    decoder: Decoder | None = None
    """What decodes now; None: nothing yet, or no video decoder at all."""
    rest: Rest | None = None
    """What its motion gate did; None: it has had none."""
    oldest_s: float = 0.0
    """Longest time that a frame waited for the engine and was taken by it."""
    started_s: float = 0.0
    last_frame_s: float = 0.0
    detections: Counter[str] = field(default_factory=Counter)
    tracks: Counter[str] = field(default_factory=Counter)
    crossings: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By (line, direction, label)."""
    events: Counter[str] = field(default_factory=Counter)
    """Event messages, by event."""
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
    """What became of the messages for one sink, or of the pictures. At every moment
    `produced = acknowledged + spooled + dead_lettered + dropped`."""

    sink: str
    produced: int = 0
    """What was to be delivered: what this run made for the sink, and `found`."""
    acknowledged: int = 0
    """Confirmed by the receiver."""
    spooled: int = 0
    """Waiting on disk; they outlive the run."""
    dead_lettered: int = 0
    """Refused by the receiver for ever, and written to the file of dead letters."""
    dropped: dict[str, int] = field(default_factory=dict)
    """By reason: `spool_full`, `disk_full`, `disk_error`, `damaged`, `dead_letters_unwritable`;
    and outside of a spool `queue_full`, `rejected`, `failed`, `stopped`."""
    found: int = 0
    """Waiting on disk since an earlier run, at the start."""
    waiting: int = 0
    """On the way to the spool or the sink, in memory; not in `produced` yet."""
    filtered: int = 0
    """Messages that the sink was not to get; not in `produced`."""
    error: str | None = None
    """Something is lost, or a person must act."""
    note: str | None = None
    """Something is in the way, and nothing is lost."""

    @property
    def lost(self) -> int:
        """Never delivered: dropped, or a dead letter."""
        return self.dead_lettered + sum(self.dropped.values())


@dataclass(slots=True)
class EvidenceReport:
    """What became of the files that events refer to."""

    written: dict[str, int] = field(default_factory=dict)
    """By kind: `crop`, `frame`, `clip`."""
    dropped: dict[str, int] = field(default_factory=dict)
    """By reason: `writer_busy`, `too_many_clips`, `no_key_frame`, `codec`, of which the event says
    so; and `memory`, `failed`, `no_picture`, `stopped`, which come after it."""
    bytes: int = 0
    """Written in this run."""
    cut: int = 0
    """Clips that end early, because the stream's buffer does not hold more."""
    deleted: int = 0
    """Files that had to make room, of any run."""
    waiting: int = 0
    """To be written, or clips whose video is still to come."""
    note: str | None = None
    """The last failure."""


@dataclass(slots=True)
class Report:
    """The account of a run."""

    streams: list[StreamReport]
    sinks: list[SinkReport]
    error: str | None = None
    """What befell the run as a whole, such as a drain that was not done in time."""
    load: LoadReport = field(default_factory=LoadReport)
    latency: LatencyReport = field(default_factory=LatencyReport)
    evidence: EvidenceReport | None = None
    """None: none is kept."""

    @property
    def errors(self) -> list[str]:
        """One line for the run, and for each stream or sink, that failed."""
        errors = [self.error, *(stream.error for stream in self.streams)]
        errors += [sink.error for sink in self.sinks]
        return [error for error in errors if error is not None]

    @property
    def notes(self) -> list[str]:
        """One line for each sink that is in trouble and has lost nothing, and for evidence."""
        notes = [sink.note for sink in self.sinks]
        notes.append(self.evidence.note if self.evidence is not None else None)
        return [note for note in notes if note is not None]
