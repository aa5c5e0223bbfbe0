"""The changes that a stream tells of itself: up, down, ended, bad pictures, other rules."""

from dataclasses import dataclass

from pipeline.core.errors import DownCause
from stages.base import Decoder
from stages.health.finding import Change
from stages.zones import Rules


@dataclass(frozen=True, slots=True)
class StreamUp:
    """A stream came up: the first frame of `epoch`, `seq`, has arrived."""

    stream_id: str
    epoch: int
    seq: int
    attempt: int
    frame_count: int | None
    chaos: bool = False
    """True: faults are made on purpose."""
    decoder: Decoder | None = None


@dataclass(frozen=True, slots=True)
class StreamDown:
    """A stream went down: its connection failed or was lost after frame `seq`; another try
    follows."""

    stream_id: str
    epoch: int
    seq: int
    attempt: int
    reason: str
    cause: DownCause = "unavailable"


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """A stream ended: no more frames will come. `error` says why it ended early."""

    stream_id: str
    epoch: int
    error: str | None


@dataclass(frozen=True, slots=True)
class StreamHealth:
    """Something is wrong with a stream's pictures, or no longer; frame `seq` is the last one by
    then."""

    stream_id: str
    epoch: int
    seq: int
    change: Change


@dataclass(frozen=True, slots=True)
class StreamRules:
    """A stream gets other lines, zones and masks, from its next frame on."""

    stream_id: str
    rules: Rules


StreamChange = StreamUp | StreamDown | StreamEnded | StreamHealth | StreamRules
