"""Many reconnects leave nothing behind: `make endurance` does 200, the suite fewer."""

import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pipeline.build.streams import source_maker
from pipeline.config.file import parse_config
from pipeline.core.backoff import Backoff
from pipeline.core.clock import SystemClock
from pipeline.stream.changes import StreamChange, StreamUp
from pipeline.stream.stream import Stream
from tests.integration.conftest import _miss
from tests.integration.rtsp_run import BUSY_S, camera
from tests.services import numbered
from tests.services.cameras import CameraSite
from tests.services.relay import Relay
from tests.services.servers import ServiceMissing

RECONNECTS = int(os.environ.get("EYRIE_RECONNECTS", "20"))
WARM_UP = 5


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + BUSY_S
    while not condition():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.01)


def held() -> tuple[int, int]:
    """Threads, also native ones, and descriptors of this process."""
    threads, descriptors = (list(Path("/proc/self", name).iterdir()) for name in ("task", "fd"))
    return len(threads), len(descriptors)


def holds_at_most(most: tuple[int, int]) -> bool:
    return all(now <= then for now, then in zip(held(), most, strict=True))


def has_been_up(told: list[StreamChange], times: int) -> bool:
    return sum(isinstance(change, StreamUp) for change in told) >= times


def take_all(stream: Stream) -> None:
    while stream.lane.take(10):
        pass


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.timeout(60 + 10 * RECONNECTS)
def test_reconnects_leave_no_thread_and_no_descriptor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        site = CameraSite(tmp_path, {"plain": numbered.make(tmp_path / "clip.mp4", 100, fps=50)})
    except ServiceMissing as missing:
        _miss(str(missing))
    site.start()
    with Relay(site.port) as relay:
        url = f"rtsp://127.0.0.1:{relay.port}/plain"
        (config,) = parse_config({"streams": [camera("cam", url)]}).streams
        told: list[StreamChange] = []
        maker = source_maker(config, SystemClock())
        backoff = Backoff(0.01, 0.01)
        stream = Stream(config, maker, threading.Condition(), told.append, SystemClock(), backoff)
        thread = threading.Thread(target=stream.run, daemon=True)
        thread.start()
        threading.Thread(target=take_all, args=(stream,), daemon=True).start()
        steady = (0, 0)
        seen: list[tuple[int, int]] = []
        memory_mb: list[float] = []
        for number in range(1, RECONNECTS + WARM_UP + 1):
            wait_for(partial(has_been_up, told, number), f"connection {number}")
            if number == WARM_UP:
                steady = held()
            elif number > WARM_UP:  # those of the relay's last connection may still be closing
                wait_for(
                    partial(holds_at_most, steady),
                    f"after {number} connections {held()}, after {WARM_UP} {steady}",
                )
                seen.append(held())
                memory_mb.append(resident_mb())
            relay.cut()
        stream.stop()
        thread.join(BUSY_S)
    site.stop()
    assert not thread.is_alive()
    assert stream.account.connections.abandoned == 0
    with capsys.disabled():
        print(  # noqa: T201 - the figures that `make endurance` is for
            f"\n{RECONNECTS} reconnects: threads and descriptors {seen[0]} -> {seen[-1]}, "
            f"resident {memory_mb[0]:.1f} -> {memory_mb[-1]:.1f} MB"
        )
