"""From a spool to its sink: in order, again and again until confirmed."""

import threading
from collections.abc import Sequence
from typing import Final

from pipeline.core.clock import Clock
from pipeline.core.errors import Backpressure, Rejected, SinkError, SinkUnavailable
from pipeline.core.log import get_logger
from pipeline.outlet import unexpected
from pipeline.supervise import Backoff, Repeats
from sinks.base import Outgoing, Sink
from sinks.spool.spool import Spool

log = get_logger(__name__)

_MOST_PER_WRITE: Final = 256
_MOST_IN_FLIGHT: Final = 10_000
_MOST_BYTES_IN_FLIGHT: Final = 16 << 20
_IDLE_S: Final = 0.1
_FLUSH_EVERY_S: Final = 0.5
_WRITING_PER_FLUSH: Final = 4
_FLUSH_TIMEOUT_S: Final = 5.0


class Delivery:
    """Reads messages from the spool, writes them to the sink, and acknowledges what a flush has
    confirmed. One thread runs it.

    At most 10,000 messages or 16 MiB are written and not confirmed. While there is more to write, a
    flush comes every half second, or where flushes are slow, after four times as long as the last
    one took: so a far receiver is waited for a fifth of the time, not after each write.

    A message that the sink refuses by name becomes a dead letter. When the sink refuses everything,
    or fails in a way that no sink should, nothing is let go: it is tried again after a pause, after
    such a failure with a sink that was closed and opened again, from the last confirmed message on.
    """

    def __init__(
        self, sink: Sink, spool: Spool, clock: Clock, linger_s: float, leave_after_s: float
    ) -> None:
        self.trouble: str | None = None
        """What keeps messages from being delivered now."""
        self.over = False
        """True once `run` has returned."""
        self._sink, self._spool, self._clock = sink, spool, clock
        self._linger_s, self._leave_after_s = linger_s, leave_after_s
        self._is_open = False
        self._in_flight: list[Outgoing] = []
        self._bytes_in_flight = 0
        self._reached = 0
        self._first_unflushed_s = self._flushed_s = clock.monotonic_s()
        self._last_flush_s = 0.0
        self._away = Backoff(first_s=0.2, longest_s=5.0)
        self._refused = Backoff(first_s=1.0, longest_s=60.0)
        self._repeats = Repeats(60.0, clock.monotonic_s)
        self._leaving = threading.Event()
        self._stored = threading.Event()
        self._leave_s = float("inf")

    def open(self) -> None:
        """Connect for the first time. A receiver that is away is tried again later; `Rejected` is
        raised."""
        try:
            self._sink.open()
        except SinkUnavailable as error:
            log.warning("%s; its messages are spooled until it is there", error)
            self.trouble = str(error)
        else:
            self._is_open = True

    def stored(self) -> None:
        """No more messages will be appended. Any thread."""
        self._leave_s = self._clock.monotonic_s() + self._leave_after_s
        self._stored.set()

    def leave(self) -> None:
        """Return soon; what is not delivered stays in the spool. Any thread."""
        self._leaving.set()

    def run(self) -> None:
        """Until everything is stored and delivered, or it is time to leave."""
        while not self._leaving.is_set() and self._clock.monotonic_s() < self._leave_s:
            try:
                if not self._turn():
                    break
            except SinkUnavailable as error:  # of the spool, which was closed meanwhile
                log.debug("%s", error)
                break
            except Exception as error:
                log.debug("sink %r", self._sink.name, exc_info=True)
                self._start_over(unexpected(self._sink.name, error))
        self.over = True

    def _turn(self) -> bool:
        """One step. False: all is done."""
        if not self._is_open:
            self._connect()
            return True
        messages: list[Outgoing] = []
        if not self._laden:
            room = _MOST_IN_FLIGHT - len(self._in_flight)
            messages = self._spool.read(self._reached, min(room, _MOST_PER_WRITE))
            self._write(messages)
        if self._in_flight and self._flush_is_due(idle=not messages):
            self._flush()
        elif not messages:
            stored = self._stored.is_set()
            more = self._spool.wait_for_records(self._reached, self._idle_s())
            return more or bool(self._in_flight) or not stored
        return True

    @property
    def _laden(self) -> bool:
        """As much is in flight as may be."""
        return (
            len(self._in_flight) >= _MOST_IN_FLIGHT or self._bytes_in_flight > _MOST_BYTES_IN_FLIGHT
        )

    def _idle_s(self) -> float:
        return 0.0 if self._stored.is_set() and not self._in_flight else _IDLE_S

    def _flush_is_due(self, idle: bool) -> bool:
        now_s = self._clock.monotonic_s()
        if self._laden:
            return True
        if now_s - self._first_unflushed_s < self._linger_s and not self._stored.is_set():
            return False
        writing_s = max(_FLUSH_EVERY_S, _WRITING_PER_FLUSH * self._last_flush_s)
        return idle or now_s - self._flushed_s > writing_s

    def _connect(self) -> None:
        try:
            self._sink.open()
        except SinkError as error:
            self._pause(error)
        else:
            self._is_open = True

    def _write(self, messages: Sequence[Outgoing]) -> None:
        """Until they are written, refused, or it is time to leave."""
        rest = list(messages)
        while rest and self._goes_on():
            try:
                self._sink.write(rest)
            except Rejected as error:
                rest = self._bury(rest, error)
            except Backpressure as error:
                if not self._in_flight or not self._flush():
                    self._pause(error)
            except SinkUnavailable as error:
                self._pause(error)
            else:
                if not self._in_flight:
                    self._first_unflushed_s = self._clock.monotonic_s()
                self._in_flight += rest
                self._bytes_in_flight += sum(len(message.body) for message in rest)
                rest = []
        if messages and not rest:
            self._reached = messages[-1].number

    def _goes_on(self) -> bool:
        return not self._leaving.is_set() and self._clock.monotonic_s() < self._leave_s

    def _flush(self) -> bool:
        """Whether everything in flight is confirmed now."""
        began_s = self._clock.monotonic_s()
        while self._in_flight:
            try:
                self._sink.flush(self._flush_timeout_s())
            except Rejected as error:
                rest = self._bury(self._in_flight, error)
                if len(rest) == len(self._in_flight):
                    return False
                self._in_flight = rest
            except SinkError as error:
                self._pause(error)
                return False
            else:
                self._spool.acknowledge(self._in_flight[-1].number)
                self._in_flight = []
        self._bytes_in_flight = 0
        self._flushed_s = self._clock.monotonic_s()
        self._last_flush_s = self._flushed_s - began_s
        self.trouble = None
        self._away.succeed()
        self._refused.succeed()
        return True

    def _flush_timeout_s(self) -> float:
        left_s = self._leave_s - self._clock.monotonic_s()
        return max(0.1, min(_FLUSH_TIMEOUT_S, left_s))

    def _bury(self, messages: list[Outgoing], error: Rejected) -> list[Outgoing]:
        """Those that the error names become dead letters: the others. Where it names none, the sink
        itself is refused: all of them, after a pause."""
        named = set(error.message_ids)
        refused = [message for message in messages if message.message_id in named]
        if not refused:
            self._pause(error)
            return messages
        log.error("%s; refused for ever: %d messages", error, len(refused))
        self._spool.bury(refused, error.why)
        return [message for message in messages if message.message_id not in named]

    def _start_over(self, error: SinkError) -> None:
        """What the sink holds is unknown: a new start, from the last confirmed message on."""
        self._is_open = False
        self._in_flight, self._bytes_in_flight, self._reached = [], 0, 0
        try:
            self._sink.close()
        except Exception:
            log.debug("sink %r does not close", self._sink.name, exc_info=True)
        self._pause(error)

    def _pause(self, error: SinkError) -> None:
        self.trouble = str(error)
        if isinstance(error, Backpressure):
            pause_s = error.retry_after_s
        else:
            pause_s = (self._away if error.retryable else self._refused).pause_s()
        again = self._repeats.note(type(error).__name__)
        if again is not None:
            log.warning("%s; trying again in %.1f s%s", error, pause_s, again)
        left_s = self._leave_s - self._clock.monotonic_s()
        self._leaving.wait(max(0.0, min(pause_s, left_s)))
