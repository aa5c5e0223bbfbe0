"""A pipeline whose stream has faults on purpose: it says so, and every picture is accounted for."""

import time
from pathlib import Path
from typing import Any

import pytest

from pipeline import Pipeline
from pipeline.account import StreamReport
from pipeline.config.file import parse_config
from pipeline.core.clock import SystemClock
from pipeline.core.errors import ConfigError, SourceHung
from pipeline.core.frame import Frame
from pipeline.core.messages import EndOfStreamMessage, FrameMessage, StreamStatusMessage, decode
from pipeline.stream.connection import Connection, Patience
from sinks.memory import MemorySink
from stages.base import Source
from stages.sources.chaos import Chaos, ChaosSettings
from stages.sources.file import FileSource
from tests.integration.rtsp_run import BUSY_S
from tests.services.numbered import READER
from tests.stages.sources.clips import encode

FRAMES = 80
FAULTS = {
    "seed": 11,
    "loss": 0.1,
    "corruption": 0.1,
    "bad_pts": 0.05,
    "stalls_per_min": 60,
    "stall_s": 0.01,
}


async def run(clip: Path, chaos: dict[str, Any] | None) -> tuple[StreamReport, list[Any]]:
    source = {"kind": "file", "path": str(clip)}
    stream = {"id": "cam", "source": source, "chaos": chaos}
    sink = MemorySink()
    config = parse_config({"streams": [stream], "tracking": {"enabled": False}})
    async with Pipeline(config, detector=READER, sinks=[sink]) as pipeline:
        report = await pipeline.wait()
    return report.streams[0], [decode(message.body) for message in sink.messages]


async def test_the_account_holds_and_says_what_chaos_did(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", FRAMES)
    report, messages = await run(clip, FAULTS)
    assert report.chaos["loss"] > 0
    assert report.chaos["corruption"] > 0
    assert report.chaos["stall"] > 0
    assert report.decoded == FRAMES - report.chaos["loss"]
    assert report.dropped == {"corrupt": report.chaos["corruption"]}
    assert report.decoded == report.published + report.chaos["corruption"]
    frames = [message for message in messages if isinstance(message, FrameMessage)]
    assert len(frames) == report.published
    dropped = sum(sum(frame.dropped_since_last.values()) for frame in frames)
    assert frames[-1].seq + 1 == len(frames) + dropped
    up = next(message for message in messages if isinstance(message, StreamStatusMessage))
    assert up.reason == "first frame decoded; chaos is on"
    end = messages[-1]
    assert isinstance(end, EndOfStreamMessage)
    assert end.decoded == end.published + sum(end.dropped.values())


async def test_the_same_seed_gives_the_same_run_and_none_is_silent(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", FRAMES)

    def told(messages: list[Any]) -> list[tuple[int, int, int]]:
        return [(m.epoch, m.seq, m.pts_ns) for m in messages if isinstance(m, FrameMessage)]

    first, again = await run(clip, FAULTS), await run(clip, FAULTS)
    assert told(first[1]) == told(again[1])
    assert first[0].chaos == again[0].chaos
    plain, messages = await run(clip, None)
    assert plain.chaos == {}
    assert plain.published == FRAMES
    assert not any("chaos" in message.model_dump_json() for message in messages)


def test_a_long_stall_counts_as_hung_and_its_thread_ends(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", FRAMES)
    chaos = Chaos("cam", ChaosSettings(stalls_per_min=1e9, stall_s=3600))
    taken: list[int] = []

    def take(_source: Source, frame: Frame) -> bool:
        taken.append(frame.info.seq)
        return True

    connection = Connection(
        "cam",
        lambda: chaos.wrap(FileSource("cam", clip)),
        take,
        Patience(BUSY_S, 0.5, grace_s=0.1),
        SystemClock(),
    )
    connection.run()
    assert connection.abandoned
    assert isinstance(connection.failure, SourceHung)
    assert taken == [0]
    deadline_s = time.monotonic() + BUSY_S
    while connection.alive:
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    assert connection.source is not None
    assert connection.source.counts.decoded_total == 1


@pytest.mark.parametrize(
    ("chaos", "why"),
    [
        ({"disconnects_per_min": 1}, "kind file is not connected to again"),
        ({"storm": 3}, "storm has no use without disconnects_per_min"),
        ({"loss": 1.5}, "less than or equal to 1"),
    ],
)
def test_faults_that_cannot_be_are_refused(chaos: dict[str, Any], why: str) -> None:
    stream = {"id": "cam", "source": {"kind": "file", "path": "a.mp4"}, "chaos": chaos}
    with pytest.raises(ConfigError, match=why):
        parse_config({"streams": [stream]})
