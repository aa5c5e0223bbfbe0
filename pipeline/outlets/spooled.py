"""The outlet to one sink over a spool on disk: nothing is lost while the receiver is away.

offer ─► channel ─► store thread ─► Spool ─► deliver thread ─► Sink
                                      ▲───── acknowledge ────────┘
"""

import threading
from typing import Final

from pipeline.account import SinkReport
from pipeline.channel import Channel, WhenFull
from pipeline.core.clock import Clock
from pipeline.core.errors import SinkUnavailable
from pipeline.core.frame_record import AnyMessage
from pipeline.core.log import get_logger
from pipeline.outlets.delivery import Delivery
from pipeline.outlets.outlet import GATHER_S, Offers, Only, ThreadBody, as_sink_error, close_sink
from pipeline.supervise import Retries
from sinks.base import Outgoing, Sink
from sinks.spool.dead_letters import FILE_NAME
from sinks.spool.spool import Spool

log = get_logger(__name__)

_MOST_PER_APPEND: Final = 256
"""The most messages of one transaction on disk."""
_IDLE_S: Final = 0.5
"""The time without a message after which the spool is synced, and of one wait for room in it."""


class SpooledOutlet:
    """The way of messages to one sink, stored on disk and delivered in the order in which they were
    offered, those that an earlier run has left first. The publish thread waits for the disk at
    most, and for a full spool under `block`; never for the sink.

    The run ends `leave_after_s` after the last message was stored, if they cannot all be delivered
    before: the rest stays in the spool for the next run. `only` and `linger_s` are as for `Outlet`.
    """

    def __init__(
        self,
        sink: Sink,
        spool: Spool,
        capacity: int,
        when_full: WhenFull,
        clock: Clock,
        leave_after_s: float,
        only: Only | None = None,
        linger_s: float = 0.0,
        *,
        retries: Retries | None = None,
    ) -> None:
        self.sink = sink
        self.channel: Channel[Outgoing] = Channel(capacity, when_full)
        self._few = capacity // 2
        self._spool = spool
        self._offers = Offers(self.channel, only)
        self._delivery = Delivery(sink, spool, clock, linger_s, leave_after_s, retries=retries)
        self._aborted = threading.Event()
        self._unstored = 0
        self._error: str | None = None

    @property
    def loops(self) -> list[ThreadBody]:
        """The work of the outlet, each loop for a thread of its own."""
        return [
            (f"spool {self.sink.name}", self._store),
            (self.deliver_thread, self._delivery.run),
        ]

    @property
    def deliver_thread(self) -> str:
        """The name of the thread that may be left behind without a loss."""
        return f"sink {self.sink.name}"

    def open(self) -> None:
        """Take the spool, and connect if the receiver is there; if it is away, that is told and
        tried again by and by. Raises `SinkUnavailable` for the spool, `Rejected` for the sink."""
        self._spool.open()
        found = self._spool.account()[0].found
        if found:
            log.warning("sink %r: %d messages of an earlier run wait", self.sink.name, found)
        self._delivery.open()

    def close(self) -> None:
        """Close the sink and the spool; that the sink fails is in the report. Idempotent."""
        self._error = close_sink(self.sink) or self._error
        self._spool.close()

    def offer(self, message: AnyMessage, outgoing: Outgoing) -> None:
        """Filter a message and put it into the channel, as `Outlet.offer`. The publish thread."""
        self._offers.put(message, outgoing)

    def abort(self) -> None:
        """Store what waits, as far as there is room, and leave what is not delivered. Any
        thread."""
        self._aborted.set()
        self._offers.end("stopped", drop=False)
        self.leave()

    def leave(self) -> None:
        """Deliver no more; what waits is left in the spool. Any thread."""
        self._delivery.leave()

    @property
    def report(self) -> SinkReport:
        """The account as of now. Any thread."""
        account, shortage = self._spool.account()
        dropped = self._offers.dropped()
        dropped[self._offers.ended_by] += self._unstored
        turned_away = dropped.total()
        stored = account.produced - account.found
        report = SinkReport(
            self.sink.name,
            produced=account.produced + turned_away,
            acknowledged=account.acknowledged,
            spooled=account.spooled,
            dead_lettered=account.dead_lettered,
            dropped=dict(+(dropped + account.dropped)),
            found=account.found,
            waiting=max(0, self.channel.statistics().offered - stored - turned_away),
            filtered=self._offers.filtered,
        )
        report.error = self._loss(report)
        trouble = f"its spool has no room ({shortage})" if shortage else self._delivery.trouble
        if report.spooled and (self._delivery.over or trouble is not None):
            report.note = self._wait(report.spooled, trouble)
        return report

    def _loss(self, report: SinkReport) -> str | None:
        parts = [f"{count} dropped ({reason})" for reason, count in report.dropped.items()]
        if report.dead_lettered:
            path = self._spool.folder / FILE_NAME
            parts.append(f"{report.dead_lettered} refused for ever and written to {path}")
        why = self._error or f"sink {self.sink.name!r}"
        return f"{why}: messages: {', '.join(parts)}" if parts else self._error

    def _wait(self, count: int, trouble: str | None) -> str:
        text = f"sink {self.sink.name!r}: {count} messages wait in {self._spool.folder}"
        if self._delivery.over:
            text += ", the next run delivers them"
        return f"{text}: {trouble}" if trouble else text

    def _store(self) -> None:
        """Store messages from the channel on disk, until the channel is finished."""
        try:
            while not self.channel.finished:
                messages = self.channel.take(_MOST_PER_APPEND, _IDLE_S)
                if messages:
                    self._append(messages)
                else:
                    self._spool.sync()
                if len(messages) < self._few:
                    self._aborted.wait(GATHER_S)
        except Exception as error:
            log.debug("spool of sink %r", self.sink.name, exc_info=True)
            self._error = str(as_sink_error(self.sink.name, error))
            log.error("%s", self._error)
            self._offers.end("failed")
        finally:
            self._delivery.stored()

    def _append(self, messages: list[Outgoing]) -> None:
        done = 0
        try:
            while True:
                done += self._spool.append(messages[done:])
                if done == len(messages) or self._aborted.is_set():
                    return
                self._spool.wait_for_room(_IDLE_S)
        except SinkUnavailable:
            log.debug("spool of sink %r is closed", self.sink.name)
        finally:
            self._unstored += len(messages) - done
