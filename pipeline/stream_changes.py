"""What a stream tells of itself: it came up, went down, ended, or its pictures are no good."""

from dataclasses import dataclass

from pipeline.core.errors import DownCause
from stages.base import Decoder
from stages.health.finding import Change
from stages.zones import Rules


@dataclass(frozen=True, slots=True)
class StreamUp:
    """The first frame of an epoch, `seq`, has arrived."""

    stream_id: str
    epoch: int
    seq: int
    attempt: int
    frame_count: int | None
    chaos: bool = False
    """Faults are made on purpose."""
    decoder: Decoder | None = None


@dataclass(frozen=True, slots=True)
class StreamDown:
    """The connection failed or was lost after frame `seq`; another try follows."""

    stream_id: str
    epoch: int
    seq: int
    attempt: int
    reason: str
    cause: DownCause = "unavailable"


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """No more frames will come. `error` says why it ended early."""

    stream_id: str
    epoch: int
    error: str | None


@dataclass(frozen=True, slots=True)
class StreamHealth:
    """Something is wrong with the pictures, or no longer; frame `seq` is the last one by then."""

    stream_id: str
    epoch: int
    seq: int
    change: Change


@dataclass(frozen=True, slots=True)
class StreamRules:
    """Other lines, zones and masks, from the next frame on."""

    stream_id: str
    rules: Rules


StreamChange = StreamUp | StreamDown | StreamEnded | StreamHealth | StreamRules
