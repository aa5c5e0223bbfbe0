"""Whole runs: real decoding, real threads, a scripted detector, files as sinks."""

import asyncio
import gc
import itertools
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from detectors.scripted import ScriptedDetector
from pipeline import Pipeline, PipelineConfig
from pipeline.account import Report
from pipeline.config.file import parse_config
from pipeline.core.detections import Detections
from pipeline.core.errors import EngineRunError, SinkUnavailable
from pipeline.core.messages import EndOfStreamMessage, FrameMessage, Message, decode
from pipeline.core.picture import Picture
from sinks.base import Outgoing
from sinks.memory import MemorySink
from tests.stages.sources.clips import encode


def one_person(picture: Picture) -> Detections:
    height, width = picture.height, picture.width
    box = np.array([[0, 0, width, height]], np.float32) / np.float32(2)
    return Detections(box, np.array([0.9], np.float32), np.zeros(1, np.int32))


DETECTOR = ScriptedDetector(("person",), one_person)


def configuration(out: Path, clips: list[Path], **more: Any) -> PipelineConfig:
    streams = [{"id": clip.stem, "source": {"kind": "file", "path": str(clip)}} for clip in clips]
    sinks = [{"kind": "jsonl", "path": str(out / "{stream_id}.jsonl")}]
    return parse_config({"streams": streams, "sinks": sinks, **more})


async def finish(config: PipelineConfig, detector: ScriptedDetector = DETECTOR) -> Report:
    async with Pipeline(config, detector=detector) as pipeline:
        return await pipeline.wait()


def read(path: Path) -> list[Message]:
    return [decode(line) for line in path.read_text().splitlines()]


async def test_every_frame_of_every_file_is_published_in_order(tmp_path: Path) -> None:
    clips = [encode(tmp_path / f"{name}.mp4", frames) for name, frames in (("a", 40), ("b", 7))]
    report = await finish(configuration(tmp_path, clips))
    assert report.errors == []
    for stream, frames in zip(report.streams, (40, 7), strict=True):
        assert (stream.decoded, stream.published, stream.dropped) == (frames, frames, {})
        messages = read(tmp_path / f"{stream.stream_id}.jsonl")
        assert [m.seq for m in messages if isinstance(m, FrameMessage)] == list(range(frames))
        kinds = Counter(m.kind for m in messages)
        assert kinds == {"stream_status": 1, "frame": frames, "track_end": 1, "end_of_stream": 1}
        assert messages[-1].kind == "end_of_stream"


async def test_a_program_can_read_messages_through_a_sink_of_its_own(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 5)
    config = configuration(tmp_path, [clip]).model_copy(update={"sinks": ()})
    sink = MemorySink()
    async with Pipeline(config, detector=DETECTOR, sinks=[sink]) as pipeline:
        report = await pipeline.wait()
    assert report.errors == []
    assert [m.kind for m in sink.messages].count("frame") == 5
    assert report.sinks[0].acknowledged == len(sink.messages)


async def test_running_again_gives_the_same_message_ids(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 12)
    ids = []
    for _ in range(2):
        await finish(configuration(tmp_path, [clip]))
        ids.append([m.message_id for m in read(tmp_path / "a.jsonl")])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == len(ids[0])


async def test_a_bad_stream_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    good = encode(tmp_path / "good.mp4", 10)
    text = tmp_path / "text.mp4"
    text.write_text("no video at all\n" * 100)
    report = await finish(configuration(tmp_path, [good, text, tmp_path / "missing.mp4"]))
    assert [stream.published for stream in report.streams] == [10, 0, 0]
    assert len(report.errors) == 2
    assert "stream 'text'" in report.errors[0]
    assert "missing.mp4 does not exist" in report.errors[1]
    last = read(tmp_path / "missing.jsonl")[-1]
    assert isinstance(last, EndOfStreamMessage)
    assert last.error is not None


async def test_frame_rate_and_frame_limit_are_accounted(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 50, rate=25)
    config = configuration(tmp_path, [clip])
    slow = config.streams[0].model_copy(update={"fps": 5.0})
    report = await finish(config.model_copy(update={"streams": (slow,)}))
    (stream,) = report.streams
    assert (stream.decoded, stream.published, stream.dropped) == (50, 10, {"target_fps": 40})
    frames = [m for m in read(tmp_path / "a.jsonl") if isinstance(m, FrameMessage)]
    for before, now in itertools.pairwise(frames):
        assert now.seq - before.seq - 1 == sum(now.dropped_since_last.values())
    short = config.streams[0].model_copy(update={"max_frames": 3})
    report = await finish(config.model_copy(update={"streams": (short,)}))
    assert report.streams[0].published == 3
    assert report.errors == []


async def test_a_live_stream_drops_the_oldest_and_tells(tmp_path: Path) -> None:
    """The detector is held until the whole clip has been decoded in real time."""
    clip = encode(tmp_path / "a.mp4", 30, rate=100)
    decoded_all = threading.Event()

    def held(picture: Picture) -> Detections:
        assert decoded_all.wait(30)
        return one_person(picture)

    config = configuration(tmp_path, [clip])
    source = {"kind": "file", "path": str(clip), "realtime": True}
    stream = {"id": "a", "source": source, "queue_frames": 2}
    config = parse_config({**config.model_dump(), "streams": [stream]})
    async with Pipeline(config, detector=ScriptedDetector(("person",), held)) as pipeline:
        while pipeline.report().streams[0].decoded < 30:
            await asyncio.sleep(0)
        decoded_all.set()
        report = await pipeline.wait()
    (account,) = report.streams
    assert account.decoded == 30 == account.published + account.dropped["overflow"]
    assert account.dropped["overflow"] > 20
    frames = [m for m in read(tmp_path / "a.jsonl") if isinstance(m, FrameMessage)]
    gaps = [now.seq - before.seq - 1 for before, now in itertools.pairwise(frames)]
    told = [sum(frame.dropped_since_last.values()) for frame in frames[1:]]
    assert gaps == told


async def test_drain_publishes_what_is_decoded(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 500)
    config = configuration(tmp_path, [clip])
    async with Pipeline(config, detector=DETECTOR) as pipeline:
        while pipeline.report().streams[0].published < 5:
            await asyncio.sleep(0)
        pipeline.drain()
        report = await pipeline.wait()
    (stream,) = report.streams
    assert stream.decoded == stream.published + sum(stream.dropped.values())
    messages = read(tmp_path / "a.jsonl")
    assert messages[-1].kind == "end_of_stream"
    assert sum(m.kind == "frame" for m in messages) == stream.published < 500


async def test_leaving_the_block_aborts_and_the_account_adds_up(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 500)
    async with Pipeline(configuration(tmp_path, [clip]), detector=DETECTOR) as pipeline:
        while pipeline.report().streams[0].published < 5:
            await asyncio.sleep(0)
    (stream,) = pipeline.report().streams
    assert stream.decoded == stream.published + sum(stream.dropped.values()) < 500
    assert not [t for t in threading.enumerate() if t.name.startswith("eyrie ")]


async def test_an_engine_failure_ends_the_run_with_its_own_error(tmp_path: Path) -> None:
    def broken(picture: Picture) -> Detections:
        raise EngineRunError("model m: out of memory")

    clip = encode(tmp_path / "a.mp4", 200)
    config = configuration(tmp_path, [clip])
    with pytest.raises(EngineRunError, match="out of memory"):
        await finish(config, ScriptedDetector(("person",), broken))


async def test_a_sink_that_cannot_open_fails_the_start(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    config = configuration(blocker, [encode(tmp_path / "a.mp4", 5)])
    with pytest.raises(SinkUnavailable, match="jsonl"):
        await finish(config)


async def test_annotated_video_has_every_frame(tmp_path: Path) -> None:
    import av

    clip = encode(tmp_path / "a.mp4", 20, size=(160, 120))
    config = configuration(tmp_path, [clip])
    sinks = [{"kind": "video", "path": str(tmp_path / "out" / "{stream_id}.mp4")}]
    config = parse_config({**config.model_dump(), "sinks": sinks})
    report = await finish(config)
    assert report.errors == []
    with av.open(str(tmp_path / "out" / "a.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 20


async def test_a_drain_that_is_not_done_in_time_is_an_error(tmp_path: Path) -> None:
    held = threading.Event()

    def stuck(picture: Picture) -> Detections:
        held.wait(30)
        return one_person(picture)

    clip = encode(tmp_path / "a.mp4", 60)
    config = configuration(tmp_path, [clip], drain_timeout_s=0.05)
    async with Pipeline(config, detector=ScriptedDetector(("person",), stuck)) as pipeline:
        while pipeline.report().streams[0].decoded < 5:
            await asyncio.sleep(0)
        pipeline.drain()
        report = await asyncio.wait_for(pipeline.wait(), 10)
        held.set()
    assert report.errors == ["the run was not drained within 0.05 s and was aborted"]


class FaultySink(MemorySink):
    """Raises what no sink should."""

    def write(self, messages: Sequence[Outgoing]) -> None:
        raise ValueError("oops")


async def test_a_faulty_sink_is_reported_and_the_others_get_everything(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 8)
    faulty, good = FaultySink("faulty"), MemorySink("good")
    config = configuration(tmp_path, [clip])
    async with Pipeline(config, detector=DETECTOR, sinks=[faulty, good]) as pipeline:
        report = await pipeline.wait()
    (error,) = report.errors
    assert error.startswith("sink 'faulty': unexpected ValueError: oops (")
    assert report.sinks[0].lost == len(good.messages) == report.sinks[1].acknowledged


async def test_a_run_whose_every_sink_is_gone_ends_by_itself(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 3000)
    config = configuration(tmp_path, [clip]).model_copy(update={"sinks": ()})
    async with Pipeline(config, detector=DETECTOR, sinks=[FaultySink("faulty")]) as pipeline:
        report = await asyncio.wait_for(pipeline.wait(), 60)
    (stream,) = report.streams
    assert stream.decoded == stream.published + sum(stream.dropped.values()) < 3000


async def test_a_surprise_in_the_detector_is_an_engine_error_and_every_frame_is_accounted(
    tmp_path: Path,
) -> None:
    def surprise(picture: Picture) -> Detections:
        raise RuntimeError("boom")

    config = configuration(tmp_path, [encode(tmp_path / "a.mp4", 40)])
    detector = ScriptedDetector(("person",), surprise)
    async with Pipeline(config, detector=detector) as pipeline:
        with pytest.raises(EngineRunError, match="scripted: unexpected RuntimeError: boom"):
            await pipeline.wait()
    (stream,) = pipeline.report().streams
    assert stream.decoded == stream.published + sum(stream.dropped.values())


async def test_a_failure_that_nobody_waits_for_is_silent(tmp_path: Path) -> None:
    def broken(picture: Picture) -> Detections:
        raise EngineRunError("model m: out of memory")

    config = configuration(tmp_path, [encode(tmp_path / "a.mp4", 10)])
    async with Pipeline(config, detector=ScriptedDetector(("person",), broken)) as pipeline:
        while pipeline.report().streams[0].decoded == 0:
            await asyncio.sleep(0)
    gc.collect()  # a task with an unread exception would complain here


async def test_cancelling_the_start_closes_what_opens_later(tmp_path: Path) -> None:
    opening, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    class SlowSink(MemorySink):
        def open(self) -> None:
            opening.set()
            go_on.wait(30)
            super().open()

        def close(self) -> None:
            super().close()
            closed.set()

    config = configuration(tmp_path, [encode(tmp_path / "a.mp4", 5)])
    pipeline = Pipeline(config, detector=DETECTOR, sinks=[SlowSink()])
    start = asyncio.create_task(pipeline.__aenter__())
    await asyncio.to_thread(opening.wait, 30)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    go_on.set()
    assert await asyncio.to_thread(closed.wait, 30)


async def test_one_stream_that_cannot_be_drawn_does_not_end_the_video_of_the_others(
    tmp_path: Path,
) -> None:
    good = encode(tmp_path / "good.mp4", 10)
    wide = tmp_path / "wide.png"
    cv2.imwrite(str(wide), np.zeros((64, 17_000, 3), np.uint8))
    streams = [
        {"id": "wide", "source": {"kind": "images", "path": str(wide)}},
        {"id": "good", "source": {"kind": "file", "path": str(good)}},
    ]
    sinks = [{"kind": "video", "path": str(tmp_path / "out" / "{stream_id}.mp4")}]
    report = await finish(parse_config({"streams": streams, "sinks": sinks}))
    (error,) = report.errors
    assert "no more pictures of stream 'wide'" in error
    assert report.sinks[0].acknowledged == 10
