"""The outlet to one sink without a spool: a channel, a thread, and retries."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from pipeline.account import SinkReport
from pipeline.channel import Channel, WhenFull
from pipeline.core.clock import Clock
from pipeline.core.errors import Backpressure, Rejected, SinkError, SinkUnavailable
from pipeline.core.frame_record import AnyMessage
from pipeline.core.log import get_logger
from pipeline.supervise import Retries
from sinks.base import Outgoing, PictureSink, Sink

log = get_logger(__name__)

T = TypeVar("T")

Only = Callable[[AnyMessage], AnyMessage | None]
"""A function of what a sink gets of a message: the message itself, one with less in it, or None for
nothing."""
ThreadBody = tuple[str, Callable[[], None]]
"""The name of a thread, and all of its work."""

_MOST_PER_WRITE: Final = 256
"""The most messages of one write: enough to batch, little enough to be tried again."""
_MOST_UNFLUSHED: Final = 10_000
"""The most messages that wait for a flush; their ids are held in memory."""
_IDLE_S: Final = 0.1
"""The time without a message after which what was written is flushed."""
_FLUSH_EVERY_S: Final = 1.0
"""The longest time between flushes while messages keep coming."""
_FLUSH_TIMEOUT_S: Final = 5.0
"""The time limit of one flush; what it does not deliver is tried again."""
GATHER_S: Final = 0.005
"""The time for which messages gather once some were taken from a channel: to wake a thread, and to
write, costs as much for one as for many."""


class Outlet:
    """The way of messages to one sink, in order. What the sink cannot take now is tried again until
    it can, or until `abort`; so is everything where the sink itself is refused. A message that the
    sink refuses by name is lost, and counted. A sink that is gone, or fails in a way that no sink
    should, ends its own outlet and nobody else's: then all that it did not confirm is lost, and
    counted.

    `only` says what the sink gets. No flush comes before `linger_s` have passed since the first
    message that waits for one, so that a sink may collect; at most 10,000 messages wait for one.
    """

    def __init__(
        self,
        sink: Sink,
        capacity: int,
        when_full: WhenFull,
        clock: Clock,
        only: Only | None = None,
        linger_s: float = 0.0,
        *,
        retries: Retries | None = None,
    ) -> None:
        self.sink = sink
        self.channel: Channel[Outgoing] = Channel(capacity, when_full)
        self._offers = Offers(self.channel, only)
        self._linger_s = linger_s
        self._few = capacity // 2
        self._in_hand: list[Outgoing] = []
        self._unflushed: list[str] = []
        self._delivered = 0
        self._lost: Counter[str] = Counter()
        self._why: str | None = None
        self._unclosed: str | None = None
        self._clock = clock
        self._retries = retries or Retries(clock.monotonic_s)
        self._aborted = threading.Event()
        self._first_unflushed_s = self._flushed_s = clock.monotonic_s()

    @property
    def loops(self) -> list[ThreadBody]:
        """The work of the outlet, each loop for a thread of its own."""
        return [(f"sink {self.sink.name}", self.run)]

    def open(self) -> None:
        """Open the sink. Raises as `Sink.open` does."""
        self.sink.open()

    def close(self) -> None:
        """Close the sink; that it fails is in the report. Idempotent."""
        self._unclosed = close_sink(self.sink) or self._unclosed

    def offer(self, message: AnyMessage, outgoing: Outgoing) -> None:
        """Put in what this sink is to get of a message; `outgoing` is all of it, encoded. Blocks
        while the channel is full, under `block`. The publish thread."""
        self._offers.put(message, outgoing)

    @property
    def report(self) -> SinkReport:
        """The account as of now. What was given up is an error; a failure that was overcome is
        none. Any thread."""
        acknowledged, lost = self._delivered, self._lost.copy()
        lost = +(lost + self._offers.dropped())
        produced = acknowledged + lost.total()
        report = SinkReport(
            self.sink.name,
            produced=produced,
            acknowledged=acknowledged,
            dropped=dict(lost),
            filtered=self._offers.filtered,
            waiting=max(0, self.channel.statistics().offered - produced),
            error=self._unclosed,
        )
        if lost:
            reasons = f"sink {self.sink.name!r}: {', '.join(lost)}"
            why = self._why or self._retries.trouble or reasons
            report.error = f"{why} ({lost.total()} messages not delivered)"
        return report

    def run(self) -> None:
        """Deliver until the channel is finished. Blocks; the sink's own thread."""
        try:
            self._deliver()
        except Exception as error:
            log.debug("sink %r", self.sink.name, exc_info=True)
            self._why = str(as_sink_error(self.sink.name, error))
            self.abort("failed")
        finally:
            self._settle()

    def _deliver(self) -> None:
        while not self._aborted.is_set():
            if not self._laden:
                self._in_hand = self.channel.take(_MOST_PER_WRITE, _IDLE_S)
            idle, few = not self._in_hand, len(self._in_hand) < self._few
            self._write()
            if few:
                self._aborted.wait(GATHER_S)
            if self._unflushed and self._flush_is_due(idle):
                self._flush()
            if self.channel.finished and not self._unflushed:
                break

    @property
    def _laden(self) -> bool:
        """True if as much waits for a flush as may."""
        return len(self._unflushed) >= _MOST_UNFLUSHED

    def _flush_is_due(self, idle: bool) -> bool:
        now_s = self._clock.monotonic_s()
        if self._laden or self.channel.finished:
            return True
        if now_s - self._first_unflushed_s < self._linger_s:
            return False
        return idle or now_s - self._flushed_s > _FLUSH_EVERY_S

    def abort(self, reason: str = "stopped") -> None:
        """Give up what is not delivered, counted as dropped for `reason`. Any thread."""
        self._offers.end(reason)
        self._aborted.set()

    def _write(self) -> None:
        """Write what is in hand, until the sink has taken or refused it all."""
        while self._in_hand and not self._aborted.is_set():
            try:
                self.sink.write(self._in_hand)
            except Rejected as error:
                refused = self._lose([message.message_id for message in self._in_hand], error)
                self._in_hand = [m for m in self._in_hand if m.message_id not in refused]
            except Backpressure as error:
                if not self._unflushed or not self._flush():
                    self._retries.pause(error, self._aborted)
            except SinkUnavailable as error:
                self._retries.pause(error, self._aborted)
            else:
                if not self._unflushed:
                    self._first_unflushed_s = self._clock.monotonic_s()
                self._unflushed += [message.message_id for message in self._in_hand]
                self._in_hand = []

    def _flush(self) -> bool:
        """Flush -> True if everything that was written is delivered now, or lost."""
        while self._unflushed and not self._aborted.is_set():
            try:
                self.sink.flush(_FLUSH_TIMEOUT_S)
            except Rejected as error:
                refused = self._lose(self._unflushed, error)
                if not refused:
                    return False
                self._unflushed = [one for one in self._unflushed if one not in refused]
            except (Backpressure, SinkUnavailable) as error:
                self._retries.pause(error, self._aborted)
                return False
            else:
                self._delivered += len(self._unflushed)
                self._unflushed = []
        self._flushed_s = self._clock.monotonic_s()
        self._retries.succeed()
        return True

    def _lose(self, message_ids: Sequence[str], error: Rejected) -> set[str]:
        """Count the messages that the error names as lost, so that the others get through -> their
        ids. Where it names none of them, the sink itself is refused: none, after a pause."""
        named = set(error.message_ids)
        lost = [message_id for message_id in message_ids if message_id in named]
        if lost:
            log.error("%s; lost messages: %d, the first is %s", error, len(lost), lost[0])
            self._lost["rejected"] += len(lost)
            self._why = str(error)
        else:
            self._retries.pause(error, self._aborted)
        return set(lost)

    def _settle(self) -> None:
        """Close the account, once nothing more can be delivered."""
        self._lost[self._offers.ended_by] += len(self._in_hand) + len(self._unflushed)
        self._in_hand, self._unflushed = [], []
        error = self.report.error
        if error is not None:
            log.error("%s", error)


class Drops(Generic[T]):
    """The counts of what a channel has dropped, by reason: `queue_full`, and why it takes no
    more."""

    def __init__(self, channel: Channel[T]) -> None:
        self.ended_by = "stopped"
        """The reason why the channel takes no more, once it does not."""
        self._channel = channel
        self._dropped_before: int | None = None

    def end(self, reason: str, *, drop: bool = True) -> None:
        """Take no more in, for `reason`; what waits in the channel is dropped too, or left there.
        Only the first call counts. Any thread."""
        if self._dropped_before is None:
            self.ended_by = reason
            self._dropped_before = self._channel.statistics().dropped
        if drop:
            self._channel.abort()
        else:
            self._channel.close()

    def dropped(self) -> Counter[str]:
        """The number of dropped items by reason. Any thread."""
        dropped = self._channel.statistics().dropped
        full = dropped if self._dropped_before is None else self._dropped_before
        return Counter({"queue_full": full, self.ended_by: dropped - full})


class Offers(Drops[Outgoing]):
    """Messages on their way into a channel: filtered, and counted where the channel drops them."""

    def __init__(self, channel: Channel[Outgoing], only: Only | None) -> None:
        super().__init__(channel)
        self.filtered = 0
        """Messages that the sink was not to get."""
        self._only = only

    def put(self, message: AnyMessage, outgoing: Outgoing) -> None:
        """Filter a message and put it into the channel, as `Outlet.offer`."""
        kept = message if self._only is None else self._only(message)
        if kept is None:
            self.filtered += 1
        else:
            self._channel.put(outgoing if kept is message else Outgoing.of(kept))


def as_sink_error(sink: str, error: Exception) -> SinkError:
    """The failure as an error of the sink of that name: itself, or, where it is none that a sink
    should have, an "unexpected …"."""
    if isinstance(error, SinkError):
        return error
    return SinkError(sink, f"unexpected {type(error).__name__}: {error}")


def close_sink(sink: Sink | PictureSink) -> str | None:
    """Close a sink -> None, or in one line, which is logged, why it cannot be closed. Never raises:
    the others are to be closed, too."""
    try:
        sink.close()
    except Exception as error:
        log.debug("sink %r", sink.name, exc_info=True)
        why = as_sink_error(sink.name, error).why
        failure = str(SinkError(sink.name, f"cannot be closed: {why}"))
        log.error("%s", failure)
        return failure
    return None
