"""One run, several sinks: each has its own filter, and none suffers from another's trouble."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.scripted import ScriptedDetector
from pipeline import Pipeline, PipelineConfig
from pipeline.account import Report, SinkReport
from pipeline.config.file import parse_config
from pipeline.core.detections import Detections
from pipeline.core.errors import ConfigError
from pipeline.core.messages import FrameMessage, Message, TrackEndMessage, decode
from pipeline.core.picture import Picture
from tests.services.hook import Answer, Hook, Post
from tests.services.parquet_rows import finished
from tests.stages.sources.clips import encode

FRAMES = 30
PATIENCE_S = 30.0


def two_objects(picture: Picture) -> Detections:
    height, width = picture.height, picture.width
    box = np.array([[0, 0, width, height], [width, 0, 2 * width, height]], np.float32) / 2
    return Detections(
        box.astype(np.float32), np.array([0.9, 0.7], np.float32), np.arange(2, dtype=np.int32)
    )


DETECTOR = ScriptedDetector(("person", "car"), two_objects)


def _config(folder: Path, clip: Path, *sinks: dict[str, Any], **more: Any) -> PipelineConfig:
    streams = [{"id": clip.stem, "source": {"kind": "file", "path": str(clip)}}]
    spool = {"folder": str(folder / "spool")}
    return parse_config({"streams": streams, "sinks": list(sinks), "spool": spool, **more})


def _three_sinks(folder: Path, hook: Hook) -> list[dict[str, Any]]:
    return [
        {"kind": "webhook", "url": hook.url, "connect_timeout_s": 1},
        {"kind": "jsonl", "path": str(folder / "{stream_id}.jsonl")},
        {"kind": "parquet", "folder": str(folder / "tables")},
    ]


async def _finish(config: PipelineConfig) -> Report:
    async with Pipeline(config, detector=DETECTOR) as pipeline:
        return await pipeline.wait()


def _sink(report: Report, name: str) -> SinkReport:
    return next(sink for sink in report.sinks if sink.sink == name)


def _lines(path: Path) -> list[Message]:
    return [decode(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def _ids(messages: list[Message]) -> list[str]:
    return sorted(message.message_id for message in messages)


def _taken(hook: Hook) -> list[str]:
    return sorted(message["message_id"] for post in hook.taken for message in post.messages)


async def test_a_dead_webhook_costs_the_others_nothing_and_loses_nothing(tmp_path: Path) -> None:
    first, second = (encode(tmp_path / f"{name}.mp4", FRAMES) for name in ("first", "second"))
    with Hook() as dead:
        pass
    config = _config(tmp_path, first, *_three_sinks(tmp_path, dead), drain_timeout_s=1)
    report = await _finish(config)
    told = _lines(tmp_path / "first.jsonl")
    assert report.errors == []
    assert len(told) > FRAMES
    assert _ids(finished(tmp_path / "tables")) == _ids(told)
    webhook = _sink(report, "webhook")
    assert (webhook.produced, webhook.spooled, webhook.acknowledged) == (len(told), len(told), 0)
    with Hook(port=dead.port) as hook:
        config = _config(tmp_path, second, *_three_sinks(tmp_path, hook))
        report = await _finish(config)
        told += _lines(tmp_path / "second.jsonl")
        assert _taken(hook) == _ids(told)
        order = [message["stream_id"] for post in hook.taken for message in post.messages]
        assert order == sorted(order)  # what waited goes first
    webhook = _sink(report, "webhook")
    assert (webhook.produced, webhook.spooled, webhook.acknowledged) == (len(told), 0, len(told))
    assert _ids(finished(tmp_path / "tables")) == _ids(told)


async def test_a_webhook_that_hangs_holds_up_nobody(tmp_path: Path) -> None:
    clip = encode(tmp_path / "gate.mp4", FRAMES)
    with Hook() as hook:
        hook.released.clear()
        config = _config(tmp_path, clip, *_three_sinks(tmp_path, hook))
        async with Pipeline(config, detector=DETECTOR) as pipeline:
            deadline_s = time.monotonic() + PATIENCE_S
            while not [m for m in _lines(tmp_path / "gate.jsonl") if m.kind == "end_of_stream"]:
                assert time.monotonic() < deadline_s
                await asyncio.sleep(0.02)
            assert hook.taken == []
            hook.released.set()
            report = await pipeline.wait()
        assert report.errors == []
        assert _taken(hook) == _ids(_lines(tmp_path / "gate.jsonl"))


async def test_a_refused_message_becomes_a_dead_letter(tmp_path: Path) -> None:
    def no_car_ends(post: Post) -> Answer:
        ends = [m for m in post.messages if m["kind"] == "track_end" and m["label"] == "car"]
        return Answer(400 if ends else 200)

    clip = encode(tmp_path / "gate.mp4", FRAMES)
    with Hook(judge=no_car_ends) as hook:
        report = await _finish(_config(tmp_path, clip, *_three_sinks(tmp_path, hook)))
        told = _lines(tmp_path / "gate.jsonl")
        (bad,) = [m for m in told if isinstance(m, TrackEndMessage) and m.label == "car"]
        assert _taken(hook) == _ids([m for m in told if m.message_id != bad.message_id])
    webhook = _sink(report, "webhook")
    assert (webhook.acknowledged, webhook.dead_lettered) == (len(told) - 1, 1)
    (line,) = (tmp_path / "spool/webhook/dead_letters.jsonl").read_text().splitlines()
    letter = json.loads(line)
    assert letter["message_id"] == bad.message_id
    assert letter["reason"].endswith("answers 400 Bad Request")


async def test_each_sink_gets_what_its_filter_says(tmp_path: Path) -> None:
    clip = encode(tmp_path / "gate.mp4", FRAMES)
    everything = {"kind": "jsonl", "path": str(tmp_path / "all.jsonl"), "name": "all"}
    cars = {"kind": "jsonl", "path": str(tmp_path / "cars.jsonl"), "name": "cars"}
    ends = {"kind": "parquet", "folder": str(tmp_path / "tables")}
    config = _config(
        tmp_path,
        clip,
        cars | {"only": {"classes": ["car"]}},
        everything,
        ends | {"only": {"kinds": ["track_end"], "streams": ["g*"]}},
    )
    report = await _finish(config)
    told, of_cars = _lines(tmp_path / "all.jsonl"), _lines(tmp_path / "cars.jsonl")
    frames = [message for message in of_cars if isinstance(message, FrameMessage)]
    assert [frame.seq for frame in frames] == list(range(FRAMES))
    assert {tuple(found.label for found in frame.detections) for frame in frames} == {("car",)}
    assert {m.label for m in of_cars if isinstance(m, TrackEndMessage)} == {"car"}
    assert {len(m.detections) for m in told if isinstance(m, FrameMessage)} == {2}
    assert finished(tmp_path / "tables") == [m for m in told if isinstance(m, TrackEndMessage)]
    for name, kept in (
        ("all", told),
        ("cars", of_cars),
        ("parquet", finished(tmp_path / "tables")),
    ):
        sink = _sink(report, name)
        assert (sink.acknowledged, sink.filtered) == (len(kept), len(told) - len(kept))
        assert sink.produced == sink.acknowledged
    assert report.errors == []


async def test_a_class_that_the_detector_does_not_know(tmp_path: Path) -> None:
    clip = encode(tmp_path / "gate.mp4", FRAMES)
    sink = {"kind": "jsonl", "path": str(tmp_path / "a.jsonl"), "only": {"classes": ["dog"]}}
    with pytest.raises(ConfigError, match=r"^sinks\[0\]\.only\.classes: 'dog' is unknown; there"):
        await _finish(_config(tmp_path, clip, sink))
