"""Delivery over a spool: nothing is lost while the sink is away, and the account says so."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, repeat
from pathlib import Path

import pytest

from pipeline.account import SinkReport
from pipeline.core.clock import SystemClock
from pipeline.core.errors import Backpressure, Rejected, SinkError, SinkUnavailable
from pipeline.core.messages import StreamStatusMessage, message_id
from pipeline.outlets.spooled import SpooledOutlet
from sinks.base import Outgoing
from sinks.memory import MemorySink
from sinks.spool.dead_letters import FILE_NAME
from sinks.spool.settings import LEAST_BYTES, SpoolSettings
from sinks.spool.spool import Spool
from tests.services.streams import PRODUCER, START

AWAY = SinkUnavailable("memory", "is away")
WITHIN_S = 30.0


def status(number: int, reason: str = "") -> StreamStatusMessage:
    return StreamStatusMessage(
        message_id=message_id("run", "gate", 0, number, "stream_status"), stream_id="gate", epoch=0,
        seq=number, published_at=START, producer=PRODUCER, status="up", reason=reason, attempt=0,
    )  # fmt: skip


class PickySink(MemorySink):
    """Refuses messages of some `seq` for ever, in `write` or only in `flush`; counts openings."""

    def __init__(
        self,
        refuses: Sequence[int] = (),
        in_flush: bool = False,
        failures: Iterator[SinkError | None] | None = None,
        opens: Iterator[SinkError | None] | None = None,
    ) -> None:
        super().__init__(failures=failures)
        self.opened_total = 0
        self._refuses = {status(number).message_id for number in refuses}
        self._in_flush = in_flush
        self._opens = opens or iter(())
        self._unwanted: list[str] = []

    def open(self) -> None:
        error = next(self._opens, None)
        if error is not None:
            raise error
        self.opened_total += 1
        super().open()

    def write(self, messages: Sequence[Outgoing]) -> None:
        unwanted = [m.message_id for m in messages if m.message_id in self._refuses]
        if unwanted and not self._in_flush:
            raise Rejected(self.name, "too large", message_ids=unwanted)
        super().write([m for m in messages if m.message_id not in self._refuses])
        self._unwanted += unwanted

    def flush(self, timeout_s: float) -> None:
        if self._unwanted:
            unwanted, self._unwanted = self._unwanted, []
            raise Rejected(self.name, "too large", message_ids=unwanted)


def make(
    sink: MemorySink,
    folder: Path,
    settings: SpoolSettings | None = None,
    leave_after_s: float = WITHIN_S,
) -> SpooledOutlet:
    spool = Spool(folder, settings or SpoolSettings(), sink.name)
    return SpooledOutlet(sink, spool, 1000, "block", SystemClock(), leave_after_s)


@contextmanager
def running(outlet: SpooledOutlet) -> Iterator[None]:
    """Open, and its loops in threads; at the end the channel is closed and they are waited for."""
    outlet.open()
    threads = [threading.Thread(target=loop, name=name) for name, loop in outlet.loops]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        outlet.channel.close()
        for thread in threads:
            thread.join(WITHIN_S)
        alive = [thread.name for thread in threads if thread.is_alive()]
        outlet.close()
        assert alive == []


def offer(outlet: SpooledOutlet, numbers: Sequence[int], reason: str = "") -> None:
    for number in numbers:
        message = status(number, reason)
        outlet.offer(message, Outgoing.of(message))


def until(condition: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def seqs(sink: MemorySink) -> list[int]:
    return [json.loads(message.body)["seq"] for message in sink.messages]


def check_identity(report: SinkReport) -> None:
    settled = report.acknowledged + report.dead_lettered + sum(report.dropped.values())
    assert report.produced == settled + report.spooled


def test_all_arrive_in_order_with_their_numbers_despite_failures(tmp_path: Path) -> None:
    busy = Backpressure("memory", "is busy", retry_after_s=0.001)
    sink = MemorySink(failures=iter([AWAY, busy, None, busy, AWAY]))
    outlet = make(sink, tmp_path)
    with running(outlet):
        offer(outlet, range(600))
    assert seqs(sink) == list(range(600))
    assert [message.number for message in sink.messages] == list(range(1, 601))
    report = outlet.report
    assert (report.produced, report.acknowledged, report.lost, report.waiting) == (600, 600, 0, 0)
    assert (report.error, report.note) == (None, None)


def test_a_sink_that_is_away_at_the_start_is_no_failure(tmp_path: Path) -> None:
    sink = PickySink(opens=iter([AWAY, AWAY]))
    outlet = make(sink, tmp_path)
    with running(outlet):
        offer(outlet, range(10))
        until(lambda: outlet.report.acknowledged == 10)
    assert seqs(sink) == list(range(10))


def test_a_sink_that_refuses_us_fails_the_start(tmp_path: Path) -> None:
    outlet = make(PickySink(opens=iter([Rejected("memory", "wrong password")])), tmp_path)
    with pytest.raises(Rejected, match="wrong password"):
        outlet.open()
    outlet.close()


@pytest.mark.parametrize("in_flush", [False, True])
def test_refused_messages_become_dead_letters_and_the_others_pass(
    tmp_path: Path, in_flush: bool
) -> None:
    sink = PickySink(refuses=(0, 3, 9), in_flush=in_flush)
    outlet = make(sink, tmp_path)
    with running(outlet):
        offer(outlet, range(10))
    assert seqs(sink) == [1, 2, 4, 5, 6, 7, 8]
    report = outlet.report
    assert (report.acknowledged, report.dead_lettered, report.spooled) == (7, 3, 0)
    assert report.error is not None
    assert str(tmp_path / FILE_NAME) in report.error
    letters = [json.loads(line) for line in (tmp_path / FILE_NAME).read_text().splitlines()]
    assert [letter["number"] for letter in letters] == [1, 4, 10]
    check_identity(report)


def test_a_sink_that_is_refused_later_loses_nothing(tmp_path: Path) -> None:
    """Its password was changed, say: an operator mends it, or the next run delivers."""
    sink = MemorySink(failures=repeat(Rejected("memory", "wrong password")))
    outlet = make(sink, tmp_path, leave_after_s=0.3)
    with running(outlet):
        offer(outlet, range(5))
        until(lambda: outlet.report.note is not None)
    report = outlet.report
    assert (report.spooled, report.lost, report.error) == (5, 0, None)
    assert report.note == (
        f"sink 'memory': 5 messages wait in {tmp_path}, the next run delivers them: "
        "sink 'memory': wrong password"
    )
    check_identity(report)


def test_the_next_run_delivers_the_backlog_first_and_in_order(tmp_path: Path) -> None:
    with running(outlet := make(MemorySink(failures=repeat(AWAY)), tmp_path, leave_after_s=0.1)):
        offer(outlet, range(700))
    assert outlet.report.spooled == 700
    sink = MemorySink()
    with running(outlet := make(sink, tmp_path)):
        offer(outlet, range(700, 900))
    assert seqs(sink) == list(range(900))
    report = outlet.report
    assert (report.produced, report.found, report.acknowledged) == (900, 700, 900)


class BrokenSink(MemorySink):
    """Fails in a way that no sink should, in its third write; then is a good one."""

    def __init__(self) -> None:
        super().__init__()
        self.opened_total = self.writes_total = 0

    def open(self) -> None:
        self.opened_total += 1
        super().open()

    def write(self, messages: Sequence[Outgoing]) -> None:
        self.writes_total += 1
        if self.writes_total == 3:
            raise KeyError("no sink raises this")
        super().write(messages)


def test_a_sink_with_a_fault_is_opened_anew_and_gets_again_what_it_did_not_confirm(
    tmp_path: Path,
) -> None:
    with running(outlet := make(MemorySink(failures=repeat(AWAY)), tmp_path, leave_after_s=0.1)):
        offer(outlet, range(1000))
    sink = BrokenSink()
    with running(outlet := make(sink, tmp_path)):
        pass
    assert sink.opened_total == 2
    assert list(dict.fromkeys(seqs(sink))) == list(range(1000))
    assert outlet.report.acknowledged == 1000


class TornSpool(Spool):
    """Stores three messages, then fails as no spool should."""

    def append(self, messages: Sequence[Outgoing]) -> int:
        if self.account()[0].produced:
            raise RuntimeError("no spool raises this")
        return super().append(messages[:3])


def test_what_a_spool_that_fails_cannot_store_is_counted_as_failed(tmp_path: Path) -> None:
    sink = MemorySink()
    spool = TornSpool(tmp_path, SpoolSettings(), sink.name)
    outlet = SpooledOutlet(sink, spool, 1000, "block", SystemClock(), WITHIN_S)
    offer(outlet, range(10))
    with running(outlet):
        pass
    report = outlet.report
    assert (report.acknowledged, report.dropped) == (3, {"failed": 7})
    assert report.error == (
        "sink 'memory': unexpected RuntimeError: no spool raises this: messages: 7 dropped (failed)"
    )
    check_identity(report)


def test_an_abort_leaves_everything_in_the_spool(tmp_path: Path) -> None:
    outlet = make(MemorySink(failures=repeat(AWAY)), tmp_path)
    with running(outlet):
        offer(outlet, range(300))
        outlet.abort()
    report = outlet.report
    assert (report.produced, report.spooled, report.lost) == (300, 300, 0)


def test_what_an_abort_cannot_store_is_counted(tmp_path: Path) -> None:
    outlet = make(MemorySink(failures=repeat(AWAY)), tmp_path, SpoolSettings(LEAST_BYTES))
    with running(outlet):
        offer(outlet, range(100), reason="x" * 20_000)
        until(lambda: "no room (spool_full)" in (outlet.report.note or ""))
        outlet.abort()
    report = outlet.report
    assert report.produced == 100
    assert report.dropped == {"stopped": 100 - report.spooled}
    assert report.error is not None
    check_identity(report)


def test_a_full_spool_that_drops_says_how_many(tmp_path: Path) -> None:
    settings = SpoolSettings(LEAST_BYTES, "drop_oldest")
    outlet = make(MemorySink(failures=repeat(AWAY)), tmp_path, settings, leave_after_s=0.1)
    with running(outlet):
        offer(outlet, range(200), reason="x" * 20_000)
    report = outlet.report
    assert report.dropped["spool_full"] == 200 - report.spooled > 0
    assert report.error is not None
    assert "dropped (spool_full)" in report.error
    check_identity(report)


def test_the_account_adds_up_at_every_moment(tmp_path: Path) -> None:
    busy = Backpressure("memory", "is busy", retry_after_s=0.001)
    sink = PickySink(refuses=range(0, 5000, 50), failures=chain.from_iterable(repeat([busy, None])))
    outlet = make(sink, tmp_path)
    looked = 0
    with running(outlet):
        offering = threading.Thread(target=offer, args=(outlet, range(5000)))
        offering.start()
        while outlet.report.acknowledged + outlet.report.dead_lettered < 5000:
            check_identity(outlet.report)
            looked += 1
        offering.join()
    assert looked > 10
    assert outlet.report.dead_lettered == 100


class HungSink(MemorySink):
    """Does not return from `write` until it is let go."""

    def __init__(self) -> None:
        super().__init__("hung")
        self.let_go = threading.Event()

    def write(self, messages: Sequence[Outgoing]) -> None:
        assert self.let_go.wait(WITHIN_S)
        super().write(messages)


def test_a_sink_that_hangs_holds_up_nobody(tmp_path: Path) -> None:
    hung, well = HungSink(), MemorySink()
    ill, other = make(hung, tmp_path / "hung"), make(well, tmp_path / "well")
    with running(ill), running(other):
        for number in range(3000):
            offer(ill, [number])
            offer(other, [number])
        until(lambda: other.report.acknowledged == 3000)
        assert ill.report.acknowledged == 0
        hung.let_go.set()
    assert seqs(hung) == seqs(well) == list(range(3000))


def reach(outlet: SpooledOutlet, acknowledged: int) -> None:
    """Within a second, and what a busy machine adds."""
    until(lambda: outlet.report.acknowledged >= acknowledged, within_s=5)


def test_acknowledgement_lags_behind_by_a_second_at_most(tmp_path: Path) -> None:
    """Also while there is always something to write."""
    outlet = make(sink := MemorySink(), tmp_path)
    stop = threading.Event()

    def offer_for_ever() -> None:
        number = 0
        while not stop.is_set():
            offer(outlet, [number])
            number += 1

    with running(outlet):
        offering = threading.Thread(target=offer_for_ever)
        offering.start()
        for _ in range(5):
            reach(outlet, len(sink.messages))
        stop.set()
        offering.join()
