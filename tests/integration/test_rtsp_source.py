"""A real RTSP server: frames, camera time, and every way that a connection ends."""

import threading
import time
from itertools import islice, pairwise

import pytest

from pipeline.core.errors import SourceRefused, SourceUnavailable
from pipeline.core.frame import Frame
from stages.sources.rtsp import RtspSource
from tests.integration.conftest import ServerMaker


def test_frames_flow_forward_with_the_cameras_own_time(rtsp_server: str) -> None:
    source = RtspSource("cam", f"{rtsp_server}/people", epoch=3, first_seq=70)
    infos = []
    try:
        for frame in islice(source.frames(), 400):
            infos.append(frame.info)
            if frame.info.clock == "rtcp":
                break
    finally:
        source.close()
    assert [info.seq for info in infos] == list(range(70, 70 + len(infos)))
    assert all(before.pts_ns < after.pts_ns for before, after in pairwise(infos))
    assert {(info.epoch, info.width, info.height) for info in infos} == {(3, 768, 432)}
    assert infos[0].clock == "arrival"
    assert infos[-1].clock == "rtcp"
    assert abs(infos[-1].captured_ns - time.time_ns()) < 5 * 10**9
    assert infos[-1].uncertainty_ns == abs(infos[-1].arrived_ns - infos[-1].captured_ns)


def test_udp(rtsp_server: str) -> None:
    source = RtspSource("cam", f"{rtsp_server}/cars", transport="udp")
    frames = list(islice(source.frames(), 3))
    source.close()
    assert [frame.info.seq for frame in frames] == [0, 1, 2]


def test_capped_rate_skips_before_converting(rtsp_server: str) -> None:
    source = RtspSource("cam", f"{rtsp_server}/people", fps=5)
    frames = list(islice(source.frames(), 4))
    source.close()
    gaps = [after.info.seq - before.info.seq for before, after in pairwise(frames)]
    assert all(gap in {4, 5, 6} for gap in gaps)
    assert source.counts.skipped_total == sum(gaps) - len(gaps)


def test_wrong_path(rtsp_server: str) -> None:
    source = RtspSource("cam", f"{rtsp_server}/nobody", user="me", password="hunter2")
    with pytest.raises(SourceRefused, match="no stream at this path") as caught:
        next(source.frames())
    assert "hunter2" not in str(caught.value)


class Reader:
    """Reads a source in a thread; `started` is set at the first frame."""

    def __init__(self, source: RtspSource) -> None:
        self.started = threading.Event()
        self.frames: list[Frame] = []
        self.error: SourceUnavailable | None = None
        self._source = source
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for frame in self._source.frames():
                self.frames = [frame]
                self.started.set()
        except SourceUnavailable as error:
            self.error = error

    def ended_within(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()


def test_close_from_another_thread_ends_it(rtsp_server: str) -> None:
    source = RtspSource("cam", f"{rtsp_server}/people")
    reader = Reader(source)
    assert reader.started.wait(20)
    source.close()
    source.close()
    assert reader.ended_within(2)
    assert reader.error is None


def test_close_before_it_opened(rtsp_server: str) -> None:
    source = RtspSource("cam", f"{rtsp_server}/people")
    source.close()
    assert list(source.frames()) == []


def test_a_killed_server_is_a_disconnect(make_server: ServerMaker) -> None:
    server = make_server("rtsp")
    source = RtspSource("cam", f"rtsp://127.0.0.1:{server.port}/people", read_timeout_s=4)
    reader = Reader(source)
    assert reader.started.wait(20)
    server.kill()
    assert reader.ended_within(8)
    assert reader.error is not None
    assert reader.error.retryable
    assert "127.0.0.1" in str(reader.error)
