"""The delivery from a spool to its sink: in order, again and again until confirmed."""

import threading
from collections.abc import Sequence
from typing import Final

from pipeline.core.clock import Clock
from pipeline.core.errors import Backpressure, Rejected, SinkError, SinkUnavailable
from pipeline.core.log import get_logger
from pipeline.outlets.outlet import as_sink_error
from pipeline.supervise import Retries
from sinks.base import Outgoing, Sink
from sinks.spool.spool import Spool

log = get_logger(__name__)

_MOST_PER_WRITE: Final = 256
"""The most messages of one write."""
_MOST_IN_FLIGHT: Final = 10_000
"""The most messages that are written and not confirmed; they are held in memory."""
_MOST_BYTES_IN_FLIGHT: Final = 16 << 20
"""The bytes of such messages above which a flush comes first."""
_IDLE_S: Final = 0.1
"""The time of one wait for messages in the spool."""
_FLUSH_EVERY_S: Final = 0.5
"""The time between flushes while there is more to write."""
_WRITING_PER_FLUSH: Final = 4
"""The factor on the last flush's time that is written for before the next: a fifth is waiting."""
_FLUSH_TIMEOUT_S: Final = 5.0
"""The time limit of one flush; what it does not confirm is flushed again."""


class Delivery:
    """The way of messages from the spool to the sink, acknowledged once a flush has confirmed them.
    One thread runs it.

    At most 10,000 messages or 16 MiB are written and not confirmed. While there is more to write, a
    flush comes every half second, or where flushes are slow, after four times as long as the last
    one took: so a far receiver is waited for a fifth of the time, not after each write.

    A message that the sink refuses by name becomes a dead letter. When the sink refuses everything,
    is gone, or fails in a way that no sink should, nothing is let go: it is tried again after a
    pause, in the latter two cases with a sink that was closed and opened again, from the last
    confirmed message on.
    """

    def __init__(
        self,
        sink: Sink,
        spool: Spool,
        clock: Clock,
        linger_s: float,
        leave_after_s: float,
        *,
        retries: Retries | None = None,
    ) -> None:
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
        self._retries = retries or Retries(clock.monotonic_s)
        self._leaving = threading.Event()
        self._stored = threading.Event()
        self._leave_s = float("inf")

    @property
    def trouble(self) -> str | None:
        """The reason why messages are not delivered now; None: they are. Any thread."""
        return self._retries.trouble

    def open(self) -> None:
        """Connect for the first time. A receiver that is away is tried again later; `Rejected` is
        raised."""
        try:
            self._sink.open()
        except SinkUnavailable as error:
            log.warning("%s; its messages are spooled until it is there", error)
            self._retries.trouble = str(error)
        else:
            self._is_open = True

    def stored(self) -> None:
        """Expect no more messages to be appended. Any thread."""
        self._leave_s = self._clock.monotonic_s() + self._leave_after_s
        self._stored.set()

    def leave(self) -> None:
        """Return soon; what is not delivered stays in the spool. Any thread."""
        self._leaving.set()

    def run(self) -> None:
        """Deliver until everything is stored and delivered, or it is time to leave. Blocks."""
        while not self._leaving.is_set() and self._clock.monotonic_s() < self._leave_s:
            try:
                if not self._turn():
                    break
            except SinkUnavailable as error:  # of the spool, which was closed meanwhile
                log.debug("%s", error)
                break
            except Exception as error:
                log.debug("sink %r", self._sink.name, exc_info=True)
                self._start_over(as_sink_error(self._sink.name, error))
        self.over = True

    def _turn(self) -> bool:
        """Do one step. False: all is done."""
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
        """True if as much is in flight as may be."""
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
        """Write messages until the sink has taken or refused them, or it is time to leave."""
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
        """Flush -> True if everything in flight is confirmed now."""
        began_s = self._clock.monotonic_s()
        while self._in_flight:
            try:
                self._sink.flush(self._flush_timeout_s())
            except Rejected as error:
                rest = self._bury(self._in_flight, error)
                if len(rest) == len(self._in_flight):
                    return False
                self._in_flight = rest
            except (Backpressure, SinkUnavailable) as error:
                self._pause(error)
                return False
            else:
                self._spool.acknowledge(self._in_flight[-1].number)
                self._in_flight = []
        self._bytes_in_flight = 0
        self._flushed_s = self._clock.monotonic_s()
        self._last_flush_s = self._flushed_s - began_s
        self._retries.succeed()
        return True

    def _flush_timeout_s(self) -> float:
        left_s = self._leave_s - self._clock.monotonic_s()
        return max(0.1, min(_FLUSH_TIMEOUT_S, left_s))

    def _bury(self, messages: list[Outgoing], error: Rejected) -> list[Outgoing]:
        """Make dead letters of the messages that the error names -> the others. Where it names
        none, the sink itself is refused: all of them, after a pause."""
        named = set(error.message_ids)
        refused = [message for message in messages if message.message_id in named]
        if not refused:
            self._pause(error)
            return messages
        log.error("%s; refused for ever: %d messages", error, len(refused))
        self._spool.dead_letter(refused, error.why)
        return [message for message in messages if message.message_id not in named]

    def _start_over(self, error: SinkError) -> None:
        """Start anew from the last confirmed message on, as what the sink holds is unknown."""
        self._is_open = False
        self._in_flight, self._bytes_in_flight, self._reached = [], 0, 0
        try:
            self._sink.close()
        except Exception:
            log.debug("sink %r does not close", self._sink.name, exc_info=True)
        self._pause(error)

    def _pause(self, error: SinkError) -> None:
        left_s = self._leave_s - self._clock.monotonic_s()
        self._retries.pause(error, self._leaving, left_s)
