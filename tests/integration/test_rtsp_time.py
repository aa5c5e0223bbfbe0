"""Capture times of a real camera against its server's clock, picture by picture."""

import asyncio
import logging
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import av
import pytest

from pipeline import Pipeline
from pipeline.config.file import parse_config
from pipeline.core.clock import to_ns
from pipeline.core.frame import FrameInfo
from pipeline.core.messages import FrameMessage, Message, StreamStatusMessage, decode
from sinks.memory import MemorySink
from stages.sources.rtsp import RtspSource
from tests.integration.conftest import _miss
from tests.services import numbered
from tests.services.cameras import CameraSite
from tests.services.servers import ServiceMissing

_LOG = logging.getLogger(__name__)

PICTURES = 100
STEP_NS = 10**9 // numbered.FPS
LOOP_NS = PICTURES * STEP_NS
REPORTED = 120
"""Pictures after the first report; at 10 a second, the server has sent another one by then."""


@dataclass(frozen=True)
class Taken:
    """A picture as told, and how far that is from when the server says that it showed it."""

    info: FrameInfo
    error_ns: int


def watch(site: CameraSite, transport: Literal["tcp", "udp"], first_ns: int) -> list[Taken]:
    """Pictures until `REPORTED` of them had a report; picture 0 of the clip is at `first_ns`."""
    source = RtspSource("cam", site.url("cam"), transport=transport)
    taken: list[Taken] = []
    reported = 0
    for frame in source.frames():
        number = numbered.number_in(frame.image)
        assert number is not None
        taken.append(Taken(frame.info, _error_ns(site, number, frame.info.captured_ns - first_ns)))
        reported += frame.info.clock == "rtcp"
        if reported == REPORTED:
            break
    source.close()
    return taken


def _error_ns(site: CameraSite, number: int, captured_ns: int) -> int:
    """The clip loops, so the number tells the time but for whole loops."""
    zeros = [line for line in site.log.read_text().splitlines() if line.startswith("zero ")]
    off_ns = captured_ns - int(zeros[-1].split()[1]) - number * STEP_NS
    return (off_ns + LOOP_NS // 2) % LOOP_NS - LOOP_NS // 2


def _first_ns(clip: Path) -> int:
    """How long the first picture is held back for those that are decoded before it."""
    with av.open(str(clip)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    ticks = min(p.pts or 0 for p in packets) - min(p.dts or 0 for p in packets)
    return to_ns(ticks, packets[0].time_base)


@pytest.fixture
def make_camera(tmp_path: Path) -> Iterator[Callable[[Path], CameraSite]]:
    """Starts a camera of a clip."""
    started: list[CameraSite] = []

    def make(clip: Path) -> CameraSite:
        try:
            site = CameraSite(tmp_path, {"cam": clip})
        except ServiceMissing as missing:
            _miss(str(missing))
        started.append(site)
        site.start()
        return site

    yield make
    for site in started:
        site.stop()


@pytest.mark.parametrize(("transport", "b_frames"), [("tcp", 0), ("udp", 0), ("tcp", 3)])
def test_after_the_first_report_no_picture_is_off_by_100_ms(
    make_camera: Callable[[Path], CameraSite],
    tmp_path: Path,
    transport: Literal["tcp", "udp"],
    b_frames: int,
) -> None:
    clip = numbered.make(tmp_path / "clip.mp4", PICTURES, b_frames=b_frames)
    taken = watch(make_camera(clip), transport, _first_ns(clip))
    before = [picture for picture in taken if picture.info.clock == "arrival"]
    after = taken[len(before) :]
    assert {picture.info.clock for picture in after} == {"rtcp"}
    largest_ns = max(abs(picture.error_ns) for picture in after)
    _LOG.info(
        "%s, %d B-frames: first report after %d pictures; largest error %.3f ms after it, %.0f ms"
        " before; median uncertainty %.1f ms",
        transport, b_frames, len(before), largest_ns / 1e6,
        max((abs(picture.error_ns) for picture in before), default=0) / 1e6,
        statistics.median(picture.info.uncertainty_ns for picture in after) / 1e6,
    )  # fmt: skip
    assert largest_ns <= 100_000_000
    assert all(abs(picture.error_ns) <= picture.info.uncertainty_ns for picture in taken)
    assert all(a.info.captured_ns < b.info.captured_ns for a, b in pairwise(after))


class LateClock:
    """This machine's, a minute ahead of the camera's."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def utc_ns(self) -> int:
        return time.time_ns() + 60 * 10**9


async def test_a_wrong_clock_is_an_alarm(
    make_camera: Callable[[Path], CameraSite], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = make_camera(numbered.make(tmp_path / "clip.mp4", PICTURES))
    stream = {
        "id": "cam",
        "source": {"kind": "rtsp", "url": site.url("cam")},
        "health": {"conditions": ["clock_offset"], "start_s": 1, "clock_offset_alarm_s": 5},
    }
    sink = MemorySink()
    config = parse_config({"streams": [stream], "tracking": {"enabled": False}})
    messages: list[Message] = []
    told: list[StreamStatusMessage] = []
    async with (
        asyncio.timeout(60),
        Pipeline(config, detector=numbered.READER, sinks=[sink], clock=LateClock()) as pipeline,
    ):
        while not told:
            await asyncio.sleep(0.05)
            messages = [decode(message.body) for message in list(sink.messages)]
            statuses = [m for m in messages if isinstance(m, StreamStatusMessage)]
            told = [status for status in statuses if status.status == "impaired"]
        offset_ns = pipeline.report().streams[0].times.clock_offset_ns
        pipeline.drain()
        await pipeline.wait()
    assert told[0].condition == "clock_offset"
    assert told[0].metrics["clock_offset_s"] == pytest.approx(-60, abs=2)
    assert offset_ns == pytest.approx(-60e9, abs=2e9)
    assert "the camera's clock is 6" in caplog.text
    assert "s behind ours" in caplog.text
    frames = [message for message in messages if isinstance(message, FrameMessage)]
    assert frames[-1].captured_source == "rtcp"
    assert frames[-1].captured_uncertainty_ms == pytest.approx(60_000, abs=2000)
