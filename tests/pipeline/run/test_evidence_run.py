"""Whole runs over files that keep evidence of their events."""

import asyncio
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline import Pipeline
from pipeline.account import EvidenceReport
from pipeline.config import BatchConfig
from pipeline.config.file import parse_config
from pipeline.core.clock import SystemClock
from pipeline.core.detections import Detections
from pipeline.core.frame import Frame, FrameInfo
from pipeline.core.messages import LineCrossMessage
from pipeline.core.picture import RgbPicture
from pipeline.outlets.pictures import PictureOutlet
from pipeline.outlets.pixels import Pixels
from pipeline.run.flow import Flow
from pipeline.run.inbox import Detected
from pipeline.run.route import Route
from sinks.memory import MemorySink
from sinks.video import VideoSink
from stages.privacy import PrivacyMask
from tests.pipeline.compose.test_compose import composer
from tests.pipeline.load.load_world import idle_stream
from tests.services import crossing, numbered


async def run(
    folder: Path, clip: Path, evidence: dict[str, Any], **stream: Any
) -> tuple[list[LineCrossMessage], EvidenceReport]:
    config = parse_config(
        {
            "streams": [
                {"id": "gate", "source": {"kind": "file", "path": str(clip)}, **stream,
                 "lines": [crossing.LINE]}
            ],
            "evidence": {"folder": str(folder), **evidence},
        }
    )  # fmt: skip
    sink = MemorySink()
    async with Pipeline(config, detector=crossing.WALKERS, sinks=[sink]) as pipeline:
        report = await pipeline.wait()
    assert report.errors == []
    assert report.evidence is not None
    assert report.evidence.waiting == 0
    return crossing.crossings(sink.messages), report.evidence


async def test_an_event_of_a_file_has_crop_frame_and_clip(tmp_path: Path) -> None:
    source = numbered.make(tmp_path / "source.mp4", b_frames=2)
    clip = {"before_s": 2, "after_s": 1.5}
    events, report = await run(tmp_path / "out", source, {"clip": clip})
    (event,) = events
    at = event.seq
    assert at in range(crossing.AT, crossing.AT + 10)
    kept = {e.kind: e for e in event.evidence}
    assert list(kept) == ["crop", "frame", "clip"]
    assert all(re.fullmatch(rf"gate/{event.event_id}-{k}\.(jpg|mp4)", str(e.path))
               for k, e in kept.items())  # fmt: skip
    assert report.written == {"crop": 1, "frame": 1, "clip": 1}
    assert report.dropped == {}

    whole = cv2.imread(str(tmp_path / "out" / str(kept["frame"].path)))
    assert whole is not None
    rgb = np.asarray(cv2.cvtColor(whole, cv2.COLOR_BGR2RGB), np.uint8)
    assert numbered.number_in(rgb) == at
    crop = cv2.imread(str(tmp_path / "out" / str(kept["crop"].path)))
    assert crop is not None
    assert crop.shape == (52, 26, 3)

    made = tmp_path / "out" / str(kept["clip"].path)
    found = crossing.numbers_of(made)
    assert found[0] in range(at - 20 - 10, at - 20 + 1)
    assert found == list(range(found[0] or 0, len(found) + (found[0] or 0)))
    assert found[-1] in range(at + 15, at + 15 + 4)
    crossing.assert_cut_from(made, source)
    assert [p.name for p in tmp_path.glob("out/**/*.part")] == []


async def test_a_second_run_writes_the_same_files_and_messages(tmp_path: Path) -> None:
    source = numbered.make(tmp_path / "source.mp4")
    first, _ = await run(tmp_path / "out", source, {"clip": {"before_s": 1, "after_s": 1}})
    names = sorted(path.name for path in (tmp_path / "out/gate").iterdir())
    second, _ = await run(tmp_path / "out", source, {"clip": {"before_s": 1, "after_s": 1}})
    assert [e.event_id for e in first] == [e.event_id for e in second]
    assert sorted(path.name for path in (tmp_path / "out/gate").iterdir()) == names
    without, _ = await run(tmp_path / "none", source, {"events": ["zone_enter"]})
    assert [e.event_id for e in without] == [e.event_id for e in first]
    assert [e.evidence for e in without] == [[]]


async def test_a_clip_has_all_pictures_though_few_are_analysed(tmp_path: Path) -> None:
    source = numbered.make(tmp_path / "source.mp4", frames=100)
    events, _ = await run(
        tmp_path / "out", source, {"clip": {"before_s": 1, "after_s": 1}, "snapshot": None}, fps=5
    )
    (kept,) = events[0].evidence
    found = crossing.numbers_of(tmp_path / "out" / str(kept.path))
    first = found[0]
    assert first is not None
    assert found == list(range(first, first + len(found)))
    assert first <= events[0].seq - 10
    assert found[-1] in range(events[0].seq + 10, 100)


async def test_a_file_that_ends_too_soon_gives_what_there_is(tmp_path: Path) -> None:
    source = numbered.make(tmp_path / "source.mp4", frames=70)
    clip = {"before_s": 300, "after_s": 300}
    events, _ = await run(tmp_path / "out", source, {"clip": clip, "snapshot": None})
    (kept,) = events[0].evidence
    assert crossing.numbers_of(tmp_path / "out" / str(kept.path)) == list(range(70))


async def test_a_full_writer_is_told_in_the_event(tmp_path: Path) -> None:
    """One place: the crop has it, and is not written before the other two are asked for."""
    source = numbered.make(tmp_path / "source.mp4")
    events, report = await run(tmp_path / "out", source, {"clip": {}, "queue_files": 1})
    told = [(kept.kind, kept.missing) for kept in events[0].evidence]
    assert told == [("crop", None), ("frame", "writer_busy"), ("clip", "writer_busy")]
    assert [kept.path is None for kept in events[0].evidence] == [False, True, True]
    assert (report.written, report.dropped) == ({"crop": 1}, {"writer_busy": 2})


async def test_a_stream_that_is_reconfigured_keeps_what_it_says_then(tmp_path: Path) -> None:
    clip = numbered.make(tmp_path / "source.mp4")
    stream = {
        "id": "gate", "source": {"kind": "file", "path": str(clip)}, "lines": [crossing.LINE],
    }  # fmt: skip
    config = parse_config({"streams": [stream], "evidence": {"folder": str(tmp_path / "out")}})
    changed = parse_config(
        {
            "streams": [{**stream, "evidence": {"snapshot": None, "clip": {"before_s": 1}}}],
            "evidence": {"folder": str(tmp_path / "out")},
        }
    ).streams[0]
    sink = MemorySink()
    async with Pipeline(
        config, detector=crossing.WALKERS, sinks=[sink], keep_running=True
    ) as pipeline:
        async with asyncio.timeout(60):
            while pipeline.streams["gate"] != "ended":
                await asyncio.sleep(0.01)
            await pipeline.reconfigure(changed)
            while pipeline.streams["gate"] != "ended":
                await asyncio.sleep(0.01)
        pipeline.drain()
        await pipeline.wait()
    kinds = [[kept.kind for kept in event.evidence] for event in crossing.crossings(sink.messages)]
    assert kinds == [["crop", "frame"], ["clip"]]
    assert len(list((tmp_path / "out/gate").iterdir())) == 3


@pytest.mark.parametrize(
    ("pixels", "draws", "kept"),
    [
        (Pixels(), False, False),
        (Pixels(privacy=PrivacyMask("persons", [0])), False, False),
        (Pixels(), True, True),
        (None, True, False),
    ],
    ids=["nobody", "privacy alone", "a video sink", "a stream whose privacy is not known"],
)
def test_pixels_go_on_only_where_something_is_made_of_them(
    pixels: Pixels | None, draws: bool, kept: bool, tmp_path: Path
) -> None:
    """All that a frame costs then: nobody holds its picture, copies it, or looks at it."""
    video = PictureOutlet(VideoSink(str(tmp_path / "a.mp4")), 1, "block")
    flow = Flow(
        crossing.WALKERS, BatchConfig(), SystemClock(), picture_outlets=[video] if draws else []
    )
    if pixels is not None:
        stream = idle_stream(flow)
        flow.enter(Route(stream, composer(stream.account), pixels))
    info = FrameInfo(
        stream_id="gate", epoch=0, seq=0, pts_ns=0, captured_ns=0, arrived_ns=0, clock="file",
        uncertainty_ns=0, width=8, height=8,
    )  # fmt: skip
    picture = RgbPicture(np.zeros((8, 8, 3), np.uint8))
    result = flow.detect._result(Frame(info, picture), Detections.empty())
    assert isinstance(result, Detected)
    assert (result.picture is picture) == kept
    assert result.seen is None
