"""How often a spool's delivery asks its receiver for confirmations, on a clock of its own."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline.core.backoff import Backoff
from pipeline.core.errors import SinkGone
from pipeline.outlets.delivery import Delivery
from pipeline.supervise import Retries
from sinks.base import Outgoing
from sinks.memory import MemorySink
from sinks.spool.settings import SpoolSettings
from sinks.spool.spool import Spool


class Watch:
    """A clock that stands until somebody takes time."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_ns(self) -> int:
        return round(self.now_s * 1e9)


class FarSink(MemorySink):
    """Takes its time for each write and flush."""

    def __init__(self, watch: Watch, write_s: float, flush_s: float) -> None:
        super().__init__()
        self.batches: list[int] = []
        """How many messages each flush has confirmed."""
        self._watch, self._write_s, self._flush_s = watch, write_s, flush_s

    def write(self, messages: Sequence[Outgoing]) -> None:
        self._watch.now_s += self._write_s
        super().write(messages)

    def flush(self, timeout_s: float) -> None:
        self._watch.now_s += self._flush_s
        self.batches.append(len(self.messages) - sum(self.batches))


def deliver(sink: FarSink, watch: Watch, folder: Path, messages: int) -> float:
    """Until all of a backlog is confirmed: how long it takes."""
    spool = Spool(folder, SpoolSettings(), sink.name)
    spool.open()
    spool.append([Outgoing("frame", "gate", f"{n:032x}", b"{}") for n in range(1, messages + 1)])
    delivery = Delivery(sink, spool, watch, linger_s=0.0, leave_after_s=1e6)
    delivery.open()
    delivery.stored()
    delivery.run()
    spool.close()
    assert [told.number for told in sink.messages] == list(range(1, messages + 1))
    assert sum(sink.batches) == messages
    return watch.now_s


@pytest.mark.parametrize(("flush_s", "most_s"), [(0.0, 24), (1.0, 32), (3.0, 40)])
def test_a_far_receiver_is_waited_for_a_fifth_of_the_time(
    flush_s: float, most_s: float, tmp_path: Path
) -> None:
    """Forty writes of 0.6 s: each is longer than the half second between flushes."""
    watch = Watch()
    sink = FarSink(watch, write_s=0.6, flush_s=flush_s)
    assert deliver(sink, watch, tmp_path, 40 * 256) <= most_s + 1e-6


def test_what_is_in_flight_stays_bounded_however_far_the_receiver(tmp_path: Path) -> None:
    watch = Watch()
    sink = FarSink(watch, write_s=0.6, flush_s=3600.0)
    deliver(sink, watch, tmp_path, 25_000)
    assert max(sink.batches) == 10_000
    assert len(sink.batches) == 4


class GoneSink(MemorySink):
    """Says at its first flush that its receiver will never come back."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        """What was asked of it."""

    def open(self) -> None:
        self.told.append("open")
        super().open()

    def write(self, messages: Sequence[Outgoing]) -> None:
        self.told.append("write")
        super().write(messages)

    def flush(self, timeout_s: float) -> None:
        self.told.append("flush")
        if self.told.count("flush") == 1:
            raise SinkGone(self.name, "is gone")

    def close(self) -> None:
        self.told.append("close")
        super().close()


def test_a_sink_that_is_gone_is_opened_anew_and_the_log_has_its_own_words(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After `SinkGone` nothing is asked of it but `close`."""
    sink = GoneSink()
    spool = Spool(tmp_path, SpoolSettings(), sink.name)
    spool.open()
    spool.append([Outgoing("frame", "gate", f"{n:032x}", b"{}") for n in range(1, 6)])
    at_once = Retries(refused=Backoff(first_s=0.0))
    delivery = Delivery(sink, spool, Watch(), 0.0, 1e6, retries=at_once)
    delivery.open()
    delivery.stored()
    delivery.run()
    spool.close()
    assert sink.told == ["open", "write", "flush", "close", "open", "write", "flush"]
    failed, recovered = caplog.messages
    assert failed == "sink 'memory': is gone; trying again in 0.0 s"
    assert recovered == "sink 'memory' works again"
    assert delivery.trouble is None
