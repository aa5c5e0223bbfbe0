"""Pauses between retries of a source or a sink, and how often a fault is logged."""

import threading
from collections.abc import Callable
from time import monotonic
from typing import Final

from pipeline.core.backoff import Backoff
from pipeline.core.errors import Backpressure, SinkError
from pipeline.core.log import get_logger

log = get_logger(__name__)

SAY_AGAIN_S: Final = 300.0
"""The time after which a fault of a stream that goes on is logged again."""
SINK_SAY_AGAIN_S: Final = 60.0
"""The same for a sink, which an operator can mend."""


class Repeats:
    """A limit on how often a fault is logged: the first of a kind is said, the next after `every_s`
    seconds, with the number of those between."""

    def __init__(
        self, every_s: float = SAY_AGAIN_S, now_s: Callable[[], float] = monotonic
    ) -> None:
        self._every_s, self._now_s = every_s, now_s
        self._said_s: dict[str, float] = {}
        self._held: dict[str, int] = {}

    def note(self, kind: str) -> str | None:
        """Note one more fault of this kind -> what to add to its text, mostly nothing; None: do not
        log it."""
        now_s, said_s = self._now_s(), self._said_s.get(kind)
        if said_s is not None and now_s - said_s < self._every_s:
            self._held[kind] = self._held.get(kind, 0) + 1
            return None
        self._said_s[kind] = now_s
        held = self._held.pop(kind, 0)
        return f" ({held} more like it since this was last said)" if held else ""


class Retries:
    """The retries of one sink: a pause after each failure, a warning now and then, and what the
    trouble is. `away` has the pauses of failures that pass, `refused` those of a sink that only a
    person can mend; one that is busy says itself how long to wait. One thread; `trouble` may be
    read by any.
    """

    def __init__(
        self,
        now_s: Callable[[], float] = monotonic,
        *,
        away: Backoff | None = None,
        refused: Backoff | None = None,
    ) -> None:
        self.trouble: str | None = None
        """The last failure; None: the sink works."""
        self._told: str | None = None  # the sink whose trouble is in the log and not over
        self._away = away or Backoff(first_s=0.2, longest_s=5.0)
        self._refused = refused or Backoff(first_s=1.0, longest_s=60.0)
        self._repeats = Repeats(SINK_SAY_AGAIN_S, now_s)

    def pause(self, error: SinkError, over: threading.Event, most_s: float = float("inf")) -> None:
        """Note a failure, and wait before the next try: until `over` is set, `most_s` at most."""
        self.trouble = str(error)
        if isinstance(error, Backpressure):
            pause_s = error.retry_after_s
        else:
            pause_s = (self._away if error.retryable else self._refused).pause_s()
        again = self._repeats.note(type(error).__name__)
        if again is not None:
            log.warning("%s; trying again in %.1f s%s", error, pause_s, again)
            if not isinstance(error, Backpressure):
                self._told = error.sink
        over.wait(max(0.0, min(pause_s, most_s, threading.TIMEOUT_MAX)))

    def succeed(self) -> None:
        """Note a success: the sink works, which is logged where its trouble was, and the next
        failure is a first one again."""
        if self._told is not None:
            again = self._repeats.note("works")
            if again is not None:
                log.warning("sink %r works again%s", self._told, again)
        self.trouble = self._told = None
        self._away.succeed()
        self._refused.succeed()
