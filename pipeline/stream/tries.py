"""The tries of one stream to connect: whether there is another, and the pause before it."""

from typing import Final

from pipeline.config import ReconnectedConfig
from pipeline.core.backoff import Backoff
from pipeline.core.clock import Clock
from pipeline.core.errors import SourceDenied, SourceError

STEADY_S: Final = 10.0
"""The time after which a connection was good: the next failure is a first one again."""
FIRST_PAUSE_S: Final = 0.5
"""The first pause after a failure, short as most cameras are back at once; half at least."""
DENIED_LONGEST_S: Final = 900.0
"""The longest pause after a refused password: some cameras lock an account for 15 minutes."""


class Tries:
    """The tries of a stream whose source is configured so; None: it is opened once.

    Failures are followed by growing pauses, `backoff`; where the camera refuses the password, by
    the much longer ones of `denied`, for many cameras lock an account after a few tries. Both begin
    anew once a connection has been up for `STEADY_S`. One thread at a time.
    """

    def __init__(
        self,
        source: ReconnectedConfig | None,
        clock: Clock,
        backoff: Backoff | None = None,
        denied: Backoff | None = None,
    ) -> None:
        self._reconnect = source.tries_again if source else "never"
        self._backoff = backoff or _backoff(source)
        self._denied = denied or _denied_backoff(source)
        self._clock = clock
        self._was_up = False
        self._up_since_s: float | None = None
        self._began_s = 0.0

    @property
    def failures(self) -> int:
        """The number of failures since the last good connection."""
        return self._backoff.failures + self._denied.failures

    @property
    def is_up(self) -> bool:
        """True if the newest try has given a frame."""
        return self._up_since_s is not None

    @property
    def goes_on(self) -> bool:
        """True if another try follows a failure."""
        return self._reconnect == "always" or (self._reconnect == "once_up" and self._was_up)

    def begin(self) -> None:
        """Begin a try."""
        self._up_since_s, self._began_s = None, self._clock.monotonic_s()

    def come_up(self) -> None:
        """Note its first frame."""
        self._was_up, self._up_since_s = True, self._clock.monotonic_s()

    def fail(self, failure: SourceError) -> float:
        """Count its failure -> the seconds until the next try."""
        since_s = self._up_since_s
        if since_s is not None and self._clock.monotonic_s() - since_s >= STEADY_S:
            self._backoff.succeed()
            self._denied.succeed()
        backoff = self._denied if isinstance(failure, SourceDenied) else self._backoff
        return max(backoff.pause_s() - self._spent_s(), FIRST_PAUSE_S / 2)

    def _spent_s(self) -> float:
        """The seconds spent on a try in vain, which are part of the pause: else a camera that is
        back would be waited for by as much longer as a try takes."""
        return 0.0 if self.is_up else self._clock.monotonic_s() - self._began_s


def _backoff(source: ReconnectedConfig | None) -> Backoff:
    return Backoff(FIRST_PAUSE_S, source.longest_pause_s) if source else Backoff()


def _denied_backoff(source: ReconnectedConfig | None) -> Backoff:
    first_s = source.denied_pause_s if source else DENIED_LONGEST_S
    return Backoff(first_s, max(first_s, DENIED_LONGEST_S), least=0.9)
