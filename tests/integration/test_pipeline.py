"""The whole way against real servers: what is read back is what the pipeline says it published."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from jsonschema import Draft202012Validator
from kafka import KafkaConsumer, TopicPartition

from detectors.scripted import ScriptedDetector
from pipeline import Pipeline
from pipeline.account import Report
from pipeline.config.file import parse_config
from pipeline.core.detections import Detections
from pipeline.core.errors import SinkUnavailable
from pipeline.core.messages import (
    EndOfStreamMessage,
    FrameMessage,
    StreamStatusMessage,
    decode,
    json_schema,
)
from pipeline.core.picture import Picture
from tests.services.servers import Server, free_port
from tests.stages.sources.clips import encode

# kafka-python leaves sockets of failed connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

TopicMaker = Callable[..., str]
ServerMaker = Callable[[str], Server]


def one_person(picture: Picture) -> Detections:
    box = np.array([[8, 8, 40, 40]], np.float32)
    return Detections(box, np.array([0.9], np.float32), np.zeros(1, np.int32))


DETECTOR = ScriptedDetector(("person",), one_person)


async def run(streams: list[dict[str, Any]], sinks: list[dict[str, Any]], folder: Path) -> Report:
    """Sinks spool in `folder`."""
    spool = {"folder": str(folder / "spool")}
    config = parse_config({"streams": streams, "sinks": sinks, "spool": spool})
    async with Pipeline(config, detector=DETECTOR) as pipeline:
        return await pipeline.wait()


def from_kafka(broker: str, topic: str) -> list[tuple[str, bytes]]:
    consumer = KafkaConsumer(bootstrap_servers=broker, enable_auto_commit=False)
    with contextlib.closing(consumer):
        parts = [TopicPartition(topic, part) for part in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(parts)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(parts)
        records: list[tuple[str, bytes]] = []
        while any(consumer.position(part) < ends[part] for part in parts):
            for batch in consumer.poll(timeout_ms=500).values():
                records += [(record.key.decode(), record.value) for record in batch]
        return records


def from_redis(url: str, stream: str) -> list[tuple[str, bytes]]:
    with redis.Redis.from_url(url) as client:
        entries: list[tuple[bytes, Mapping[bytes, bytes]]] = client.xrange(stream)
        return [(fields[b"stream_id"].decode(), fields[b"body"]) for _, fields in entries]


def check(records: list[tuple[str, bytes]], report: Report, delivered: int) -> None:
    """All valid, keyed by stream, ordered, and as many as published and delivered."""
    validator = Draft202012Validator(json_schema())
    frames: Counter[str] = Counter()
    for key, body in records:
        validator.validate(json.loads(body))
        message = decode(body)
        assert message.stream_id == key
        if isinstance(message, FrameMessage):
            assert message.seq == frames[key]
            frames[key] += 1
    assert frames == {stream.stream_id: stream.published for stream in report.streams}
    assert len(records) == delivered


async def test_files_to_kafka_and_redis(
    kafka_broker: str, redis_server: str, make_topic: TopicMaker, tmp_path: Path
) -> None:
    topic = make_topic(partitions=3)
    clips = [encode(tmp_path / f"{name}.mp4", frames) for name, frames in (("a", 60), ("b", 25))]
    streams = [{"id": c.stem, "source": {"kind": "file", "path": str(c)}} for c in clips]
    report = await run(
        streams,
        [
            {"kind": "kafka", "bootstrap_servers": kafka_broker, "topic": topic},
            {"kind": "redis", "url": redis_server, "stream": topic},
        ],
        tmp_path,
    )
    assert report.errors == []
    kafka, redis_report = report.sinks
    check(await asyncio.to_thread(from_kafka, kafka_broker, topic), report, kafka.acknowledged)
    check(
        await asyncio.to_thread(from_redis, redis_server, topic), report, redis_report.acknowledged
    )
    assert [stream.published for stream in report.streams] == [60, 25]


async def test_a_camera_to_redis(rtsp_server: str, redis_server: str, tmp_path: Path) -> None:
    source = {"kind": "rtsp", "url": f"{rtsp_server}/people"}
    streams = [{"id": "camera", "source": source, "max_frames": 20, "when_full": "block"}]
    sink = {"kind": "redis", "url": redis_server, "stream": tmp_path.name}
    report = await run(streams, [sink], tmp_path)
    assert report.errors == []
    assert report.streams[0].published == 20
    records = await asyncio.to_thread(from_redis, redis_server, tmp_path.name)
    check(records, report, report.sinks[0].acknowledged)


async def test_a_camera_that_dies_comes_back_in_a_new_epoch(
    make_server: ServerMaker, tmp_path: Path
) -> None:
    server = await asyncio.to_thread(make_server, "rtsp")
    path = tmp_path / "camera.jsonl"
    source = {
        "kind": "rtsp",
        "url": f"rtsp://127.0.0.1:{server.port}/people",
        "open_timeout_s": 2,
        "read_timeout_s": 2,
    }
    config = parse_config(
        {
            "streams": [{"id": "camera", "source": source}],
            "sinks": [{"kind": "jsonl", "path": str(path)}],
        }
    )
    async with Pipeline(config, detector=DETECTOR) as pipeline:

        async def published(count: int) -> None:
            while pipeline.report().streams[0].published < count:
                await asyncio.sleep(0.01)

        await asyncio.wait_for(published(5), 30)
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        at_restart = pipeline.report().streams[0].published
        await asyncio.wait_for(published(at_restart + 20), 60)
        pipeline.drain()
        report = await pipeline.wait()
    assert report.errors == []
    messages = [decode(line) for line in path.read_text().splitlines()]
    told = [m for m in messages if isinstance(m, StreamStatusMessage)]
    statuses = [status.status for status in told if status.heartbeat is None]
    assert statuses[:2] == ["up", "down"]
    assert statuses[-1] == "up"
    epochs = [m.epoch for m in messages if isinstance(m, FrameMessage)]
    assert epochs == sorted(epochs)
    assert epochs[-1] > 0
    end = messages[-1]
    assert isinstance(end, EndOfStreamMessage)
    assert end.decoded == end.published + sum(end.dropped.values())


async def test_a_wrong_path_ends_that_stream_alone(rtsp_server: str, tmp_path: Path) -> None:
    good = encode(tmp_path / "good.mp4", 10)
    streams = [
        {
            "id": "wrong",
            "source": {"kind": "rtsp", "url": f"{rtsp_server}/nowhere", "reconnect": "once_up"},
        },
        {"id": "good", "source": {"kind": "file", "path": str(good)}},
    ]
    report = await run(
        streams, [{"kind": "jsonl", "path": str(tmp_path / "{stream_id}.jsonl")}], tmp_path
    )
    (error,) = report.errors
    assert error.startswith("stream 'wrong': ")
    assert "no stream at this path" in error
    assert report.streams[1].published == 10


@pytest.mark.parametrize(
    "sink",
    [
        {"kind": "kafka", "bootstrap_servers": "127.0.0.1:{port}", "topic": "t"},
        {"kind": "redis", "url": "redis://127.0.0.1:{port}/0"},
    ],
    ids=["kafka", "redis"],
)
async def test_without_a_spool_an_unreachable_broker_fails_the_start(
    sink: dict[str, str], tmp_path: Path
) -> None:
    port = free_port()
    filled = {key: value.replace("{port}", str(port)) for key, value in sink.items()}
    stream = {"id": "a", "source": {"kind": "file", "path": str(encode(tmp_path / "a.mp4", 5))}}
    with pytest.raises(SinkUnavailable, match=str(port)):
        await run([stream], [{**filled, "connect_timeout_s": 2, "spool": "off"}], tmp_path)


async def test_a_camera_that_hangs_does_not_hold_up_a_drain(
    make_server: ServerMaker, tmp_path: Path
) -> None:
    server = await asyncio.to_thread(make_server, "rtsp")
    source = {"kind": "rtsp", "url": f"rtsp://127.0.0.1:{server.port}/people"}
    stream = {"id": "camera", "source": {**source, "read_timeout_s": 60}}
    sink = {"kind": "jsonl", "path": str(tmp_path / "camera.jsonl")}
    config = parse_config({"streams": [stream], "sinks": [sink]})
    async with Pipeline(config, detector=DETECTOR) as pipeline:
        while pipeline.report().streams[0].published < 5:
            await asyncio.sleep(0.01)
        server.pause()
        pipeline.drain()
        report = await asyncio.wait_for(pipeline.wait(), 15)
        server.resume()
    assert report.errors == []
    last = decode((tmp_path / "camera.jsonl").read_text().splitlines()[-1])
    assert isinstance(last, EndOfStreamMessage)
    assert last.decoded == last.published + sum(last.dropped.values())
