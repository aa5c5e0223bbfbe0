"""The error tree. Who catches one decides what follows: `Stream`, `Outlet`, `Delivery`, `Pipeline`.

    EyrieError
    ├── ConfigError                 a key of the configuration, named by its path
    ├── SourceError                 one stream; the others go on
    │   ├── SourceUnavailable       unreachable or gone
    │   │   ├── SourceHung          its decoder does not return
    │   │   └── SourceRefused       wrong path; again gets the same answer
    │   │       └── SourceDenied    wrong user or password; again may lock the account
    │   └── DecodeError             reachable, but not a picture to be had from it
    ├── DetectorError
    │   ├── EngineLoadError         the model file cannot be used
    │   └── EngineRunError          the engine failed on a batch
    └── SinkError
        ├── SinkUnavailable         the receiver is away
        ├── Backpressure            not taken now, try in `retry_after_s`
        ├── Rejected                messages, or the sink itself, refused for good
        └── SinkGone                the receiver will never come back

Every message is one line for the user: what, which stream or key, why, what to do. None holds a
secret.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pipeline.core.log import one_line, redact

DownCause = Literal[
    "unavailable", "hung", "refused", "auth", "undecodable", "paused", "restarted", "removed"
]
"""The cause that took a stream down, for programs: a kind of failure, or a request."""


def _shown(why: str) -> str:
    return one_line(redact(why))


class EyrieError(Exception):
    """Root of all errors that Eyrie raises on purpose. Its text is kept to one line, and addresses
    in it lose their passwords."""

    def __init__(self, why: str) -> None:
        super().__init__(_shown(why))


class ConfigError(EyrieError):
    """The configuration is wrong at `path`, for example `sinks[0].topic`."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}" if path else why)
        self.path = path


class SourceError(EyrieError):
    """A stream cannot be read any further."""

    cause: ClassVar[DownCause] = "unavailable"

    def __init__(self, stream_id: str, why: str) -> None:
        super().__init__(f"stream {stream_id!r}: {why}")
        self.stream_id = stream_id
        self.why = _shown(why)


class SourceUnavailable(SourceError):
    """Missing, unreachable, refused, or ended although it is live."""


class SourceHung(SourceUnavailable):
    """Its decoder does not return from native code, and was abandoned."""

    cause: ClassVar[DownCause] = "hung"


class SourceRefused(SourceUnavailable):
    """The server answers, and says no: to the path or, as `SourceDenied`, to the password."""

    cause: ClassVar[DownCause] = "refused"


class SourceDenied(SourceRefused):
    """The server wants another user or password. Asking often may lock the account."""

    cause: ClassVar[DownCause] = "auth"


class DecodeError(SourceError):
    """The source answers, but holds no video that can be decoded."""

    cause: ClassVar[DownCause] = "undecodable"


class DetectorError(EyrieError):
    """The detector cannot be made or cannot go on."""


class EngineLoadError(DetectorError):
    """The model file is missing, damaged, of another kind, or asks for what this machine lacks."""


class EngineRunError(DetectorError):
    """The engine failed on a batch."""


class SinkError(EyrieError):
    """A sink cannot deliver."""

    retryable: ClassVar[bool] = False
    """Whether the same may work a little later."""

    def __init__(self, sink: str, why: str) -> None:
        super().__init__(f"sink {sink!r}: {why}")
        self.sink = sink
        self.why = _shown(why)


class SinkUnavailable(SinkError):
    """The receiver cannot be reached now."""

    retryable = True


class Backpressure(SinkError):
    """The receiver is busy; nothing of this write was taken."""

    retryable = True

    def __init__(self, sink: str, why: str, retry_after_s: float) -> None:
        super().__init__(sink, why)
        self.retry_after_s = retry_after_s


class SinkGone(SinkError):
    """The receiver will never come back, such as a closed pipe: nothing more can be delivered."""


class Rejected(SinkError):
    """The receiver refuses for good: the messages of `message_ids`, or, where none is named, the
    sink itself, such as its password or its topic. `count` is how many messages it refuses."""

    def __init__(
        self, sink: str, why: str, count: int = 1, *, message_ids: Sequence[str] = ()
    ) -> None:
        super().__init__(sink, why)
        self.message_ids = tuple(message_ids)
        self.count = len(self.message_ids) or count
