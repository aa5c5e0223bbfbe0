"""Between the pipeline and one sink that has no spool: a channel, a thread, and retries."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from pipeline.channel import Channel, WhenFull
from pipeline.core.clock import Clock
from pipeline.core.errors import Backpressure, Rejected, SinkError, SinkUnavailable
from pipeline.core.frame_record import Told
from pipeline.core.log import get_logger
from pipeline.supervise import Backoff
from pipeline.telemetry import SinkReport
from sinks.base import Outgoing, Sink

log = get_logger(__name__)

Only = Callable[[Told], Told | None]
"""What of a message a sink gets: the message itself, one with less in it, or None for nothing."""
Loop = tuple[str, Callable[[], None]]
"""The name of a thread, and all of its work."""

_MOST_PER_WRITE: Final = 256
_IDLE_S: Final = 0.1
_FLUSH_EVERY_S: Final = 1.0
_FLUSH_TIMEOUT_S: Final = 5.0


class Outlet:
    """Delivers messages to one sink, in order. What the sink cannot take now is tried again until
    it can, or until `abort`. A sink that is gone, or fails in a way that no sink should, ends its
    own outlet and nobody else's.

    `only` says what the sink gets. No flush comes before `linger_s` have passed since the first
    message that waits for one, so that a sink may collect.
    """

    def __init__(
        self,
        sink: Sink,
        capacity: int,
        when_full: WhenFull,
        clock: Clock,
        only: Only | None = None,
        linger_s: float = 0.0,
    ) -> None:
        self.sink = sink
        self.channel: Channel[Outgoing] = Channel(capacity, when_full)
        self._offers = Offers(self.channel, only)
        self._linger_s = linger_s
        self._delivered = 0
        self._lost: Counter[str] = Counter()
        self._why: str | None = None
        self._clock = clock
        self._backoff = Backoff(first_s=0.2, longest_s=5.0)
        self._aborted = threading.Event()
        self._unflushed = 0
        self._first_unflushed_s = self._flushed_s = clock.monotonic_s()

    @property
    def loops(self) -> list[Loop]:
        """What is to be run, each in a thread of its own."""
        return [(f"sink {self.sink.name}", self.run)]

    def open(self) -> None:
        """Raises as `Sink.open` does."""
        self.sink.open()

    def close(self) -> None:
        """Close the sink. Idempotent."""
        self.sink.close()

    def offer(self, message: Told, outgoing: Outgoing) -> None:
        """What this sink is to get of the message; `outgoing` is all of it, encoded. Blocks while
        the channel is full, under `block`. The publish thread."""
        self._offers.put(message, outgoing)

    @property
    def report(self) -> SinkReport:
        """The account as of now. What was given up is an error; a failure that was overcome is
        none. Any thread."""
        acknowledged, lost = self._delivered, self._lost.copy()
        lost.update(self._offers.dropped())
        produced = acknowledged + lost.total()
        report = SinkReport(
            self.sink.name,
            produced=produced,
            acknowledged=acknowledged,
            dropped=dict(+lost),
            filtered=self._offers.filtered,
            waiting=max(0, self.channel.statistics().offered - produced),
        )
        if lost.total():
            why = self._why or f"sink {self.sink.name!r}: stopped"
            report.error = f"{why} ({lost.total()} messages not delivered)"
        return report

    def run(self) -> None:
        """Deliver until the channel is finished. Blocks; the sink's own thread."""
        try:
            self._deliver()
        except Exception as error:
            log.debug("sink %r", self.sink.name, exc_info=True)
            told = error if isinstance(error, SinkError) else unexpected(self.sink.name, error)
            self._why = str(told)
            self.abort("failed")
        self._settle()

    def _deliver(self) -> None:
        while not self._aborted.is_set():
            messages = self.channel.take(_MOST_PER_WRITE, _IDLE_S)
            if messages:
                self._write(messages)
            if self._unflushed and self._flush_is_due(idle=not messages):
                self._flush()
            if self.channel.finished and not self._unflushed:
                break

    def _flush_is_due(self, idle: bool) -> bool:
        now_s = self._clock.monotonic_s()
        if self.channel.finished:
            return True
        if now_s - self._first_unflushed_s < self._linger_s:
            return False
        return idle or now_s - self._flushed_s > _FLUSH_EVERY_S

    def abort(self, reason: str = "stopped") -> None:
        """Give up what is not delivered, counted as dropped for `reason`. Any thread."""
        self._offers.end(reason)
        self._aborted.set()

    def _write(self, messages: Sequence[Outgoing]) -> None:
        while not self._aborted.is_set():
            try:
                self.sink.write(messages)
            except Rejected as error:
                self._isolate(messages, error)
                return
            except Backpressure as error:
                self._pause(error)
                self._flush()
            except SinkUnavailable as error:
                self._pause(error)
            except Exception:
                self._lost["failed"] += len(messages)
                raise
            else:
                if not self._unflushed:
                    self._first_unflushed_s = self._clock.monotonic_s()
                self._unflushed += len(messages)
                return
        self._lost[self._offers.ended_by] += len(messages)

    def _isolate(self, messages: Sequence[Outgoing], error: Rejected) -> None:
        """Some of these will never be taken: let them go, so that the others get through. Where the
        error names none, each is tried alone."""
        named = set(error.message_ids)
        refused = [message for message in messages if message.message_id in named]
        others = [message for message in messages if message.message_id not in named]
        if not refused and len(messages) > 1:
            for message in messages:
                self._write([message])
            return
        for message in refused or messages:
            log.error("%s; message %s is lost", error, message.message_id)
        self._lost["rejected"] += len(refused or messages)
        self._why = str(error)
        if refused and others:
            self._write(others)

    def _flush(self) -> None:
        try:
            self.sink.flush(_FLUSH_TIMEOUT_S)
        except Rejected as error:
            log.error("%s; lost messages: %d", error, error.count)
            self._why = str(error)
            self._lost["rejected"] += error.count
            self._unflushed -= error.count
            return
        except (Backpressure, SinkUnavailable) as error:
            self._pause(error)
            return
        self._flushed_s = self._clock.monotonic_s()
        self._backoff.succeed()
        self._delivered += self._unflushed
        self._unflushed = 0

    def _pause(self, error: SinkError) -> None:
        pause_s = self._backoff.pause_s()
        if isinstance(error, Backpressure):
            pause_s = error.retry_after_s
        log.warning("%s; trying again in %.1f s", error, pause_s)
        self._why = str(error)
        self._aborted.wait(pause_s)

    def _settle(self) -> None:
        """Close the account, once nothing more can be delivered."""
        self._lost[self._offers.ended_by] += self._unflushed
        self._unflushed = 0
        error = self.report.error
        if error is not None:
            log.error("%s", error)


class Offers:
    """Messages on their way into a channel: filtered, and counted where the channel drops them."""

    def __init__(self, channel: Channel[Outgoing], only: Only | None) -> None:
        self.filtered = 0
        """Messages that the sink was not to get."""
        self.ended_by = "stopped"
        """Why the channel takes no more, once it does not."""
        self._channel = channel
        self._only = only
        self._dropped_before: int | None = None

    def put(self, message: Told, outgoing: Outgoing) -> None:
        """As `Outlet.offer`."""
        kept = message if self._only is None else self._only(message)
        if kept is None:
            self.filtered += 1
        else:
            self._channel.put(outgoing if kept is message else Outgoing.of(kept))

    def end(self, reason: str, *, drop: bool = True) -> None:
        """No more of them, for `reason`; what waits in the channel is dropped too, or left there.
        Only the first call counts."""
        if self._dropped_before is None:
            self.ended_by = reason
            self._dropped_before = self._channel.statistics().dropped
        if drop:
            self._channel.abort()
        else:
            self._channel.close()

    def dropped(self) -> Counter[str]:
        """What the channel has dropped, by reason."""
        dropped = self._channel.statistics().dropped
        full = dropped if self._dropped_before is None else self._dropped_before
        return Counter({"queue_full": full, self.ended_by: dropped - full})


def unexpected(sink: str, error: Exception) -> SinkError:
    """A failure that no sink should have, as one of the sink."""
    return SinkError(sink, f"unexpected {type(error).__name__}: {error}")
