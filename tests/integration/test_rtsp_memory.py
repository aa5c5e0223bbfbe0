"""Reconnects to a real server leave no decoder in memory, not even until the garbage collector
comes by: it counts objects, and a decoder is few objects and many megabytes."""

import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.build.streams import source_maker
from pipeline.config.file import parse_config
from pipeline.core.backoff import Backoff
from pipeline.core.clock import SystemClock
from pipeline.stream.changes import StreamChange, StreamUp
from pipeline.stream.stream import Stream
from tests.integration.conftest import SiteMaker
from tests.integration.rtsp_run import BUSY_S, camera
from tests.services.relay import Relay

RECONNECTS = 6


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def decoders() -> int:
    """Containers and streams of PyAV that are alive."""
    kinds = (InputContainer, VideoStream)
    return sum(issubclass(type(one), kinds) for one in gc.get_objects())


@pytest.mark.usefixtures("no_collector")
def test_reconnects_leave_no_decoder(make_site: SiteMaker, clips: dict[str, Path]) -> None:
    site = make_site({"plain": clips["plain"]})
    before, ups = decoders(), threading.Semaphore(0)

    def tell(change: StreamChange) -> None:
        if isinstance(change, StreamUp):
            ups.release()

    with Relay(site.port) as relay:
        url = f"rtsp://127.0.0.1:{relay.port}/plain"
        (config,) = parse_config({"streams": [camera("cam", url)]}).streams
        maker = source_maker(config, SystemClock())
        stream = Stream(
            config, maker, threading.Condition(), tell, SystemClock(), Backoff(0.01, 0.01)
        )
        thread = threading.Thread(target=stream.run, daemon=True)
        thread.start()
        for number in range(RECONNECTS):
            assert ups.acquire(timeout=BUSY_S), f"connection {number}"
            relay.cut()
        stream.stop()
        thread.join(BUSY_S)
    assert not thread.is_alive()
    assert stream.account.connections.abandoned == 0
    assert decoders() == before
