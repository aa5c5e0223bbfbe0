"""The reports of a run: of its streams, its sinks, its evidence, and what gives way under load."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Literal

from pipeline.account.stream import Connections, StreamAccount
from pipeline.core.messages import Condition, DropReason
from stages.base import Decoder, Rest, Times

LoadStage = Literal["full", "skip", "slow", "below_floor"]


@dataclass(slots=True)
class LoadReport:
    """The report of whether and how far live streams give way because the engine does not keep up;
    see `docs/load.md`."""

    stage: LoadStage = "full"
    since_ns: int | None = None
    """The UTC time at which giving way began; None: all frames pass."""
    keep: dict[str, float] = field(default_factory=dict)
    """The share of frames that is let through, by id of every stream that does not keep all."""
    times: int = 0
    """The number of times that giving way has begun in this run."""
    degraded_s: float = 0.0
    """The seconds for which streams have given way in this run, all times together."""

    @property
    def degraded(self) -> bool:
        """True if frames are left out now."""
        return self.stage != "full"


@dataclass(slots=True)
class LatencyReport:
    """The latencies of live streams that give way: from a frame's coming into its lane until its
    detections were handed to the publish thread. See `pipeline.load.pace`."""

    target_ms: float | None = None
    """`batch.latency_target_ms`; None: there is none, and batches are as configured."""
    frames: int = 0
    """The frames handed on in the last 10 s; the next four fields are of these."""
    mean_size: float = 0.0
    """The mean number of frames in a batch, those of files with them."""
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    in_time: int = 0
    """The frames of the whole run that were handed on within the target, or all without one."""
    missed: int = 0
    """The frames of the whole run that were handed on later than that."""
    late: int = 0
    """The frames of the whole run that were too old when their turn came, and were dropped."""
    holds: bool = True
    """False: of the last seconds' frames, more than 2 % were not in time."""
    times: int = 0
    """The number of times that the target has ceased to hold in this run."""
    arrivals_fps: float = 0.0
    """The frames a second that come to the engine; 0 without a target."""
    size: int = 0
    """The most frames of a batch, as planned now."""
    within_ms: float | None = None
    """The age of its oldest frame at which a batch below `size` starts, as planned now; None: as
    configured."""
    one_frame_ms: float = 0.0
    """The learned time of the engine for a batch of one frame; 0: nothing yet."""
    spread: float = 0.0
    """The factor on the expected time that one batch in forty exceeds."""


@dataclass(slots=True)
class StreamReport:
    """The report of one stream."""

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
    """The pictures that the decoder passed over because of `decode`; they are not in `decoded`."""
    decoder: Decoder | None = None
    """The decoder now; None: nothing yet, or no video decoder at all."""
    rest: Rest | None = None
    """The counts of the stream's motion gate; None: it has had none."""
    oldest_s: float = 0.0
    """The longest time that a frame waited for the engine and was then taken by it."""
    started_s: float = 0.0
    last_frame_s: float = 0.0
    detections: Counter[str] = field(default_factory=Counter)
    tracks: Counter[str] = field(default_factory=Counter)
    crossings: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """The crossings by (line, direction, label)."""
    events: Counter[str] = field(default_factory=Counter)
    """The event messages by name of the event."""
    impairments: Counter[Condition] = field(default_factory=Counter)
    """The number of times that something was wrong with the pictures, by condition."""
    impaired: set[Condition] = field(default_factory=set)
    """The conditions that are wrong now."""
    error: str | None = None
    ended: bool = False
    """True once the stream's end was told."""

    def with_account(self, account: StreamAccount) -> "StreamReport":
        """A copy that nobody writes to, with the account as of now. Any thread: each container is
        copied in one step of the interpreter."""
        decoded, published, dropped = account.totals()
        rest = account.rest
        return replace(
            self,
            decoded=decoded,
            published=published,
            dropped=dropped,
            connections=replace(account.connections),
            chaos=dict(account.chaos),
            times=replace(account.times),
            undecoded=account.undecoded,
            decoder=account.decoder,
            rest=replace(rest) if rest is not None else None,
            detections=self.detections.copy(),
            tracks=self.tracks.copy(),
            crossings=self.crossings.copy(),
            events=self.events.copy(),
            impairments=self.impairments.copy(),
            impaired=self.impaired.copy(),
        )

    @property
    def fps(self) -> float:
        """The published frames a second of wall time, from the start of the run to the last
        frame."""
        elapsed_s = self.last_frame_s - self.started_s
        return self.published / elapsed_s if elapsed_s > 0 else 0.0


@dataclass(slots=True)
class SinkReport:
    """The report of one sink, in messages or in pictures. At every moment `produced = acknowledged
    + spooled + dead_lettered + dropped`."""

    sink: str
    produced: int = 0
    """Messages to be delivered: those that this run made for the sink, and `found`."""
    acknowledged: int = 0
    """Messages that the receiver has confirmed."""
    spooled: int = 0
    """Messages that wait on disk; they outlive the run."""
    dead_lettered: int = 0
    """Messages that the receiver refused for ever, written to the file of dead letters."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Messages that were lost, by reason: `spool_full`, `disk_full`, `disk_error`, `damaged`,
    `dead_letters_unwritable`; and outside of a spool `queue_full`, `rejected`, `failed`,
    `stopped`."""
    found: int = 0
    """Messages that waited on disk at the start, from an earlier run."""
    waiting: int = 0
    """Messages in memory, on the way to the spool or the sink; not in `produced` yet."""
    filtered: int = 0
    """Messages that the sink was not to get; not in `produced`."""
    error: str | None = None
    """The loss, or what needs a person to act; None: nothing."""
    note: str | None = None
    """The trouble that is in the way of delivery while nothing is lost; None: nothing."""

    @property
    def lost(self) -> int:
        """The number of messages never delivered: dropped, or dead letters."""
        return self.dead_lettered + sum(self.dropped.values())


@dataclass(slots=True)
class EvidenceReport:
    """The report of the files that events refer to."""

    written: dict[str, int] = field(default_factory=dict)
    """The files written, by kind: `crop`, `frame`, `clip`."""
    dropped: dict[str, int] = field(default_factory=dict)
    """The files not written, by reason: `writer_busy`, `disk_full`, `too_many_clips`,
    `no_key_frame`, `codec`, of which the event says so; and `memory`, `failed`, `no_picture`,
    `stopped`, which come after it, as `disk_full` may too."""
    bytes: int = 0
    """The bytes written in this run."""
    cut: int = 0
    """The clips that end early, because the stream's buffer does not hold more."""
    deleted: int = 0
    """The files of any run that were deleted to make room."""
    waiting: int = 0
    """The files that are still to be written, with clips whose video is still to come."""
    note: str | None = None
    """The last failure; None: there was none."""


@dataclass(slots=True)
class Report:
    """The account of a run."""

    streams: list[StreamReport]
    sinks: list[SinkReport]
    error: str | None = None
    """A failure of the run as a whole, such as a drain that was not done in time."""
    load: LoadReport = field(default_factory=LoadReport)
    latency: LatencyReport = field(default_factory=LatencyReport)
    evidence: EvidenceReport | None = None
    """The report of evidence; None: none is kept."""

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
