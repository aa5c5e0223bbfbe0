"""Real brokers that are away: at the start, at the end, in the middle; and our own death."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import Pipeline
from pipeline.account import Report
from pipeline.config.file import parse_config
from sinks.spool.survey import survey
from tests.integration.test_pipeline import DETECTOR, from_kafka, from_redis
from tests.services import servers
from tests.services.servers import Server
from tests.stages.sources.clips import encode

# kafka-python leaves sockets of failed connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

ServerMaker = Callable[[str], Server]
ROOT = Path(__file__).resolve().parents[2]
FRAMES = 50


def frames(records: list[tuple[str, bytes]]) -> list[tuple[str, int]]:
    """Stream and `seq` of the frame messages, in order, each `message_id` once."""
    messages = {json.loads(body)["message_id"]: json.loads(body) for _, body in records}
    told = [message for message in messages.values() if message["kind"] == "frame"]
    return [(message["stream_id"], message["seq"]) for message in told]


def whole(stream: str) -> list[tuple[str, int]]:
    """The frames of one clip."""
    return [(stream, seq) for seq in range(FRAMES)]


async def run(folder: Path, sink: dict[str, Any], stream: str, drain_s: float = 120) -> Report:
    clip = encode(folder / f"{stream}.mp4", FRAMES)
    config = parse_config(
        {
            "streams": [{"id": stream, "source": {"kind": "file", "path": str(clip)}}],
            "sinks": [{**sink, "connect_timeout_s": 1}],
            "spool": {"folder": str(folder / "spool")},
            "drain_timeout_s": drain_s,
        }
    )
    async with Pipeline(config, detector=DETECTOR) as pipeline:
        return await pipeline.wait()


async def test_a_run_without_its_broker_is_delivered_by_the_next_one(
    make_server: ServerMaker, tmp_path: Path
) -> None:
    server = await asyncio.to_thread(make_server, "redis")
    url = f"redis://127.0.0.1:{server.port}/0"
    sink = {"kind": "redis", "url": url, "stream": "s"}
    server.stop()
    first = await run(tmp_path, sink, "a", drain_s=0.5)
    count = first.sinks[0].spooled
    assert count > FRAMES
    assert first.errors == []
    assert f"{count} messages wait in {tmp_path}/spool/redis" in first.notes[0]
    await asyncio.to_thread(server.start)
    second = await run(tmp_path, sink, "b")
    assert (second.errors, second.notes) == ([], [])
    assert (second.sinks[0].found, second.sinks[0].acknowledged) == (count, 2 * count)
    records = await asyncio.to_thread(from_redis, url, "s")
    assert frames(records) == whole("a") + whole("b")
    assert [key for key, _ in records] == ["a"] * count + ["b"] * count


@pytest.mark.timeout(300)  # two starts of a broker
async def test_a_kafka_that_starts_after_us(make_server: ServerMaker, tmp_path: Path) -> None:
    server = await asyncio.to_thread(make_server, "kafka")
    servers.create_topic(server.port, "t", 1, {})
    sink = {"kind": "kafka", "bootstrap_servers": f"127.0.0.1:{server.port}", "topic": "t"}
    server.stop()
    running = asyncio.create_task(run(tmp_path, sink, "a"))
    await asyncio.to_thread(until_spooled, tmp_path / "spool", FRAMES)
    await asyncio.to_thread(server.start)
    report = await asyncio.wait_for(running, 150)
    assert report.errors == []
    (sink_report,) = report.sinks
    assert sink_report.acknowledged == sink_report.produced > FRAMES
    records = await asyncio.to_thread(from_kafka, f"127.0.0.1:{server.port}", "t")
    assert frames(records) == whole("a")


def until_spooled(folder: Path, count: int) -> None:
    deadline_s = time.monotonic() + 60
    while not folder.exists() or sum(state.waiting for state in survey(folder)) < count:
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


@pytest.mark.timeout(300)  # two starts of a process that loads the model
def test_kill_9_while_the_broker_is_away(make_server: ServerMaker, tmp_path: Path) -> None:
    """What was stored is delivered by the next process, whose own messages come behind."""
    server = make_server("redis")
    url = f"redis://127.0.0.1:{server.port}/0"
    clip = encode(tmp_path / "clip.mp4", FRAMES)
    config = tmp_path / "c.yaml"
    config.write_text(
        f"streams: [{{id: a, source: {{kind: file, path: '{clip}'}}}}]\n"
        f"sinks: [{{kind: redis, url: '{url}', stream: s}}]\n"
        "drain_timeout_s: 120\n"
    )
    server.stop()
    code = "from pipeline.cli import main; main()"
    command = [sys.executable, "-c", code, "run", str(config), "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment) as process:
        until_spooled(tmp_path / ".eyrie/spool", FRAMES)
        process.send_signal(signal.SIGKILL)
    server.start()
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0
    records = from_redis(url, "s")
    assert frames(records) == whole("a")
    assert len(records) >= 2 * FRAMES
    (state,) = survey(tmp_path / ".eyrie/spool")
    assert state.waiting == 0


async def test_a_receiver_that_hangs_does_not_make_a_drain_fail(
    make_server: ServerMaker, tmp_path: Path
) -> None:
    """Its thread is left behind; what it has not delivered is in the spool."""
    server = await asyncio.to_thread(make_server, "redis")
    url = f"redis://127.0.0.1:{server.port}/0"
    clip = encode(tmp_path / "a.mp4", FRAMES)
    config = parse_config(
        {
            "streams": [{"id": "a", "source": {"kind": "file", "path": str(clip)}}],
            "sinks": [{"kind": "redis", "url": url, "stream": "s", "connect_timeout_s": 60}],
            "spool": {"folder": str(tmp_path / "spool")},
            "drain_timeout_s": 1,
        }
    )
    async with Pipeline(config, detector=DETECTOR) as pipeline:
        server.pause()
        await asyncio.to_thread(until_spooled, tmp_path / "spool", FRAMES)
        pipeline.drain()
        report = await asyncio.wait_for(pipeline.wait(), 30)
        server.resume()
    assert report.errors == []
    assert report.sinks[0].spooled == report.sinks[0].produced > FRAMES
