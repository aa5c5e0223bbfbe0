"""A real RTSP server: frames, camera time, and every way that a connection ends."""

import threading
import time
from itertools import islice, pairwise
from pathlib import Path

import pytest

from pipeline.core.errors import DecodeError, SourceRefused, SourceUnavailable
from pipeline.core.frame import Frame
from stages.sources.reading import Reading
from stages.sources.rtsp import RtspSource
from tests.integration.conftest import ServerMaker, SiteMaker
from tests.services.relay import Relay


def test_frames_flow_forward_with_the_cameras_own_time(rtsp_server: str) -> None:
    source = RtspSource("cam", f"{rtsp_server}/people", Reading(epoch=3, first_seq=70))
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


def test_udp(rtsp_server: str) -> None:
    source = RtspSource("cam", f"{rtsp_server}/cars", transport="udp")
    frames = list(islice(source.frames(), 3))
    source.close()
    assert [frame.info.seq for frame in frames] == [0, 1, 2]


def test_capped_rate_skips_before_converting(rtsp_server: str) -> None:
    source = RtspSource("cam", f"{rtsp_server}/people", Reading(fps=5))
    frames = list(islice(source.frames(), 4))
    source.close()
    gaps = [after.info.seq - before.info.seq for before, after in pairwise(frames)]
    assert all(gap in {4, 5, 6} for gap in gaps)
    assert source.counts.skipped_total == sum(gaps) - len(gaps)


def test_only_key_frames_are_decoded_where_no_more_is_asked(rtsp_server: str) -> None:
    source = RtspSource("cam", f"{rtsp_server}/people", Reading(decode="keyframes"))
    frames = list(islice(source.frames(), 3))
    source.close()
    assert [frame.info.seq for frame in frames] == [0, 1, 2]
    assert source.counts.decoded_total == 3
    assert 3 <= source.counts.key_frames_total <= 4
    left = source.counts.packets_total - 3
    assert source.counts.undecoded_total == left > 2 * 3


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
    source = RtspSource("cam", f"rtsp://127.0.0.1:{server.port}/people", Reading(read_timeout_s=4))
    reader = Reader(source)
    assert reader.started.wait(20)
    server.kill()
    assert reader.ended_within(8)
    assert reader.error is not None
    assert reader.error.cause == "unavailable"
    assert "127.0.0.1" in str(reader.error)


def test_damage_that_does_not_end_is_as_if_no_picture_came(
    make_site: SiteMaker, clips: dict[str, Path]
) -> None:
    """The packet that is lost is the last thing that is seen of these 10 s without a key frame."""
    site = make_site({"cam": clips["keyless"]})
    with Relay(site.port, seed=3) as relay:
        url = f"rtsp://127.0.0.1:{relay.port}/cam"
        source = RtspSource("cam", url, Reading(read_timeout_s=2.0, picture_timeout_s=2.0))
        frames = source.frames()
        list(islice(frames, 5))
        relay.mode = "lossy"
        with pytest.raises(DecodeError, match="data comes, but no whole picture for 2 s"):
            list(islice(frames, 200))
        source.close()
    assert source.counts.withheld_total >= 10
