"""Whatever a sink raises, wherever it does: every message is in the account, once."""

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.backoff import Backoff
from pipeline.core.clock import SystemClock
from pipeline.core.errors import Backpressure, Rejected, SinkError, SinkGone, SinkUnavailable
from pipeline.outlets.outlet import Outlet
from pipeline.outlets.spooled import SpooledOutlet
from pipeline.supervise import Retries
from sinks.base import Outgoing
from sinks.spool.settings import SpoolSettings
from sinks.spool.spool import Spool

NAME = "wild"
FAILURES: dict[str, Callable[[], Exception]] = {
    "away": lambda: SinkUnavailable(NAME, "is away"),
    "busy": lambda: Backpressure(NAME, "is busy", retry_after_s=0.0),
    "refused": lambda: Rejected(NAME, "wrong password"),
    "names_another": lambda: Rejected(NAME, "too large", message_ids=["f" * 32]),
    "gone": lambda: SinkGone(NAME, "is gone"),
    "no_kind": lambda: SinkError(NAME, "of no kind"),
    "fault": lambda: KeyError("no sink raises this"),
}
PASSING = {"away", "busy", "refused", "names_another"}
ACTS = st.lists(st.sampled_from(["works", "works", "names_some", "stop", *FAILURES]), max_size=14)
NUMBERS = st.integers(1, 300)


class WildSink:
    """Does at each `open`, `write` and `flush` what the next of `acts` says, then works for ever.
    As a client of a receiver it holds what was written until a flush, and forgets it when closed.
    """

    def __init__(self, acts: Sequence[str]) -> None:
        self.name = NAME
        self.stop: Callable[[], None] = lambda: None
        self.held: list[str] = []
        self.confirmed: list[str] = []
        self.refused: list[str] = []
        self._acts = iter(acts)

    def open(self) -> None:
        self._act([])

    def write(self, messages: Sequence[Outgoing]) -> None:
        ids = [message.message_id for message in messages]
        self._act(ids)
        self.held += ids

    def flush(self, timeout_s: float) -> None:
        self._act(self.held)
        self.confirmed += self.held
        self.held = []

    def close(self) -> None:
        self.held = []

    def _act(self, ids: Sequence[str]) -> None:
        act = next(self._acts, "works")
        if act == "stop":
            self.stop()
        elif act == "names_some" and ids:
            named = list(ids[::3])
            self.refused += named
            self.held = [one for one in self.held if one not in named]
            raise Rejected(self.name, "too large", message_ids=named)
        elif act in FAILURES:
            raise FAILURES[act]()


def at_once() -> Retries:
    return Retries(away=Backoff(first_s=0.0), refused=Backoff(first_s=0.0))


def fill(outlet: Outlet | SpooledOutlet, count: int) -> list[str]:
    """The ids of `count` messages, which wait in the channel, and no more will."""
    ids = [f"{number:032x}" for number in range(count)]
    for message_id in ids:
        outlet.channel.put(Outgoing("frame", "gate", message_id, b"{}"))
    outlet.channel.close()
    return ids


@given(ACTS, NUMBERS)
def test_a_sink_without_a_spool(acts: list[str], count: int) -> None:
    sink = WildSink(acts)
    outlet = Outlet(sink, count, "block", SystemClock(), retries=at_once())
    sink.stop = outlet.abort
    ids = fill(outlet, count)
    outlet.run()
    report = outlet.report
    assert report.produced == count == report.acknowledged + sum(report.dropped.values())
    assert report.waiting == 0
    assert report.acknowledged == len(sink.confirmed)
    assert report.dropped.get("rejected", 0) == len(sink.refused)
    gone = set(sink.refused)
    assert sink.confirmed == [one for one in ids if one not in gone][: len(sink.confirmed)]
    assert report.dropped.keys() <= {"rejected", "failed", "stopped"}
    if set(acts) <= PASSING | {"works", "names_some"}:
        assert report.dropped.keys() <= {"rejected"}
    assert (report.error is None) == (report.acknowledged == count)


@settings(max_examples=30)
@given(ACTS, NUMBERS)
def test_a_sink_with_a_spool(acts: list[str], count: int) -> None:
    sink = WildSink(acts)
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder), SpoolSettings(fsync="never"), NAME)
        outlet = SpooledOutlet(sink, spool, count, "block", SystemClock(), 60.0, retries=at_once())
        sink.stop = outlet.leave
        spool.open()
        ids = fill(outlet, count)
        for _, loop in outlet.loops:  # one after the other: first all is stored
            loop()
        report = outlet.report
        left = [message.message_id for message in spool.read(0, count)]
        outlet.close()
    assert report.produced == count
    assert count == report.acknowledged + report.spooled + report.dead_lettered
    assert (report.dropped, report.waiting) == ({}, 0)
    settled = Counter({*sink.confirmed} - {*left}) + Counter({*sink.refused} - {*left})
    assert settled + Counter(left) == Counter(ids)
    assert report.dead_lettered == len({*sink.refused} - {*left})
    assert list(dict.fromkeys(sink.confirmed)) == sorted({*sink.confirmed})
    if "stop" not in acts:
        assert left == []
