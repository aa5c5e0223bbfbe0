"""Sources from elsewhere, in whole pipelines: the web, standard input, a watched folder."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.build.streams import expand_streams
from pipeline.config.file import parse_config
from pipeline.core.errors import ConfigError
from pipeline.core.messages import decode
from tests.integration.rtsp_run import BUSY_S, running
from tests.services.web import Web, playlist
from tests.stages.sources.clips import encode

FRAMES = 50


def web_stream(stream_id: str, url: str, **source: Any) -> dict[str, Any]:
    keys = {"open_timeout_s": 5, "read_timeout_s": 5, "longest_pause_s": 0.5}
    return {"id": stream_id, "source": {"kind": "http", "url": url, **keys, **source}}


async def test_a_download_ends_and_a_live_stream_comes_back(tmp_path: Path) -> None:
    encode(tmp_path / "a.mp4", FRAMES)
    playlist(tmp_path / "a.mp4", tmp_path)
    with Web(tmp_path, "me:secret") as web:
        login = {"user": "me", "password": "secret"}
        once = web_stream("once", f"{web.url}/a.mp4", **login)
        live = web_stream("live", f"{web.url}/list.m3u8", live=True, **login)
        async with running(once, live) as run:
            await run.until(lambda: run.report("once").published == FRAMES, BUSY_S)
            await run.down("live", times=2)
            await run.back("live", than=1)
    told = [status.reason for status in run.statuses("live")]
    assert any(reason.endswith("the stream ended") for reason in told)
    assert not any("secret" in message.body.decode() for message in run.sink.messages)
    once_report = run.report("once")
    assert once_report.error is None
    assert once_report.connections.failed == 0
    assert once_report.decoded == once_report.published == FRAMES


async def test_chaos_disconnects_are_survived_and_told(tmp_path: Path) -> None:
    encode(tmp_path / "a.mp4", 200)
    with Web(tmp_path) as web:
        stream = web_stream("live", f"{web.url}/a.mp4", live=True)
        chaos = {"seed": 2, "disconnects_per_min": 60, "storm": 2, "loss": 0.1, "corruption": 0.1}
        async with running(stream | {"chaos": chaos, "queue_frames": 300}) as run:
            await run.down("live", times=3)
            await run.until(lambda: run.report("live").connections.up >= 2, BUSY_S)
    report = run.report("live")
    assert report.chaos["disconnect"] >= 1
    assert report.chaos["loss"] > 0
    assert report.dropped.get("corrupt", 0) == report.chaos["corruption"]
    reasons = [status.reason for status in run.statuses("live")]
    assert "chaos: disconnected" in reasons
    assert "first frame decoded; chaos is on" in reasons


async def test_a_watched_folder_is_one_stream_that_does_not_end(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    clip = encode(tmp_path / "a.mp4", FRAMES)
    shutil.copy(clip, folder / "first.mp4")
    source = {"kind": "watch", "path": str(folder), "settle_s": 0.1}
    async with running({"id": "box", "source": source}) as run:
        await run.published("box", FRAMES)
        shutil.copy(clip, folder / "second.mp4")
        (folder / "bad.mp4").write_bytes(b"no video" * 100)
        await run.until(lambda: run.report("box").published == 2 * FRAMES, BUSY_S)
    frames = run.frames("box")
    assert [frame.seq for frame in frames] == list(range(2 * FRAMES))
    assert {frame.epoch for frame in frames} == {0, 1}
    assert run.report("box").error is None


def test_what_may_never_end_keeps_no_file_from_its_turn(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", FRAMES)
    source = {"kind": "watch", "path": str(tmp_path / "in")}
    (tmp_path / "in").mkdir()
    config = parse_config(
        {
            "streams": [
                {"id": "box", "source": source},
                {"id": "pipe", "source": {"kind": "stdin"}},
                {"id": "file", "source": {"kind": "file", "path": str(clip)}},
            ]
        }
    )
    assert [stream.endless for stream in config.streams] == [True, True, False]


def test_eyrie_run_reads_standard_input(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.ts", FRAMES, size=(160, 120))
    page = tmp_path / "run.yaml"
    page.write_text(
        "streams: [{id: pipe, source: {kind: stdin, format: mpegts}}]\n"
        f"sinks: [{{kind: jsonl, path: {tmp_path}/out.jsonl}}]\n"
    )
    with clip.open("rb") as video:
        subprocess.run(
            [sys.executable, "-c", "from pipeline.cli import main; main()", "run", str(page)],
            stdin=video,
            capture_output=True,
            timeout=300,
            check=True,
            env=os.environ | {"NO_COLOR": "1"},
        )
    messages = [decode(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert [message.seq for message in messages if message.kind == "frame"] == list(range(FRAMES))


def test_a_silent_standard_input_holds_up_no_stop(tmp_path: Path) -> None:
    page = tmp_path / "run.yaml"
    page.write_text(
        "streams: [{id: pipe, source: {kind: stdin, format: mpegts}}]\n"
        f"sinks: [{{kind: jsonl, path: {tmp_path}/out.jsonl}}]\n"
    )
    reader, writer = os.pipe()
    os.write(writer, b"G")
    program = [sys.executable, "-c", "from pipeline.cli import main; main()", "run", str(page)]
    with subprocess.Popen(program, stdin=reader, stdout=subprocess.DEVNULL) as process:
        deadline_s = time.monotonic() + BUSY_S * 3
        while fcntl.ioctl(reader, termios.FIONREAD, bytes(4)) != bytes(4):  # not read yet
            assert time.monotonic() < deadline_s
            assert process.poll() is None
            time.sleep(0.02)
        began_s = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(BUSY_S * 3) == 0
        took_s = time.monotonic() - began_s
    os.close(reader)
    os.close(writer)
    assert took_s < 2 + BUSY_S
    last = decode((tmp_path / "out.jsonl").read_bytes().splitlines()[-1])
    assert last.kind == "end_of_stream"
    assert last.error is None


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ({"kind": "http", "url": "http://me:pw@host/a"}, "put user and password into their own"),
        ({"kind": "http", "url": "http://host/a", "tls": {"verify": False}}, "begins with https"),
        ({"kind": "http", "url": "http://host/a", "reconnect": "always"}, "a file is read once"),
        ({"kind": "http", "url": "ftp://host/a"}, "should match pattern"),
        ({"kind": "stdin", "rate": 5}, "others have times of their own"),
        ({"kind": "webcam", "pixel_format": "a b"}, "should match pattern"),
        ({"kind": "watch", "path": "http://host"}, "is an address"),
    ],
)
def test_keys_that_cannot_be_are_refused(source: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        parse_config({"streams": [{"id": "cam", "source": source}]})


def test_a_webcam_may_be_a_number_and_is_live() -> None:
    stream = parse_config({"streams": [{"id": "c", "source": {"kind": "webcam", "device": 2}}]})
    webcam = stream.streams[0].source
    assert webcam.kind == "webcam"
    assert webcam.device == Path("/dev/video2")
    assert stream.streams[0].live


def test_two_streams_cannot_share_standard_input() -> None:
    streams = [{"id": name, "source": {"kind": "stdin"}} for name in ("a", "b")]
    with pytest.raises(ConfigError, match="only one stream can read standard input"):
        parse_config({"streams": streams})


def test_no_video_is_written_into_a_watched_folder(tmp_path: Path) -> None:
    streams = [{"id": "box", "source": {"kind": "watch", "path": str(tmp_path)}}]
    sinks = [{"kind": "video", "path": f"{tmp_path}/{{stream_id}}.mp4"}]
    with pytest.raises(ConfigError, match="writes videos into a folder that a stream watches"):
        expand_streams(parse_config({"streams": streams, "sinks": sinks}))
