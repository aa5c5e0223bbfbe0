"""`eyrie detect` and `eyrie check` over sources that are no files, and what decodes them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.messages import Message, StreamStatusMessage, decode
from tests.integration.conftest import SiteMaker
from tests.integration.rtsp_run import assert_whole, camera, running
from tests.services.servers import free_port
from tests.services.web import Web, playlist
from tests.stages.sources.clips import encode
from tests.stages.sources.test_hardware import HERE, LACKS

EYRIE = (sys.executable, "-c", "from pipeline.cli import main; main()")
FRAMES = 12


def eyrie(*arguments: object, stdin: Path = Path("/dev/null")) -> subprocess.CompletedProcess[str]:
    command = [*EYRIE, *map(str, arguments)]
    env = {**os.environ, "COLUMNS": "300"}
    with stdin.open("rb") as given:
        return subprocess.run(
            command, stdin=given, capture_output=True, text=True, timeout=100, env=env, check=False
        )


def said(result: subprocess.CompletedProcess[str]) -> list[Message]:
    assert result.returncode == 0, result.stderr
    return [decode(line) for line in result.stdout.splitlines()]


def seqs(messages: list[Message]) -> list[int]:
    return [message.seq for message in messages if message.kind == "frame"]


def test_detect_reads_the_web_with_a_password(tmp_path: Path) -> None:
    playlist(encode(tmp_path / "a.mp4", FRAMES), tmp_path)
    with Web(tmp_path, "me:p@ss") as web:
        url = web.url.replace("://", "://me:p%40ss@")
        result = eyrie("detect", f"{url}/list.m3u8?token=hunter2", "--sink", "-", "--quiet")
        denied = eyrie("detect", f"{web.url}/a.mp4", "--sink", "-", "--quiet")
    assert seqs(said(result)) == list(range(FRAMES))
    assert "hunter2" not in result.stdout + result.stderr
    assert denied.returncode == 1
    assert "the server wants a user name and a password" in denied.stderr


def test_detect_reads_a_live_address_again_and_again(tmp_path: Path) -> None:
    encode(tmp_path / "a.mp4", FRAMES)
    with Web(tmp_path) as web:
        limit = ("--max-frames", 2 * FRAMES, "--live")
        messages = said(eyrie("detect", f"{web.url}/a.mp4", "--sink", "-", "--quiet", *limit))
    statuses = [m for m in messages if isinstance(m, StreamStatusMessage)]
    told = [status.status for status in statuses if status.heartbeat is None]
    assert told[:3] == ["up", "down", "up"]


def test_detect_reads_standard_input(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.ts", FRAMES)
    messages = said(eyrie("detect", "-", "--sink", "-", "--quiet", stdin=clip))
    assert seqs(messages) == list(range(FRAMES))
    assert {message.stream_id for message in messages} == {"stdin"}


def test_detect_watches_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(encode(tmp_path / "a.mp4", FRAMES), folder / "first.mp4")
    limit = ("--max-frames", FRAMES)
    messages = said(eyrie("detect", f"watch:{folder}", "--sink", "-", "--quiet", *limit))
    assert seqs(messages) == list(range(FRAMES))


def test_detect_says_that_a_device_is_no_camera() -> None:
    result = eyrie("detect", "/dev/null", "--sink", "-", "--quiet")
    assert result.returncode == 1
    assert "/dev/null" in result.stderr


@pytest.mark.skipif(bool(HERE), reason="a device that decodes is here")
def test_a_device_that_is_not_there_stops_the_command_before_a_camera_is_asked() -> None:
    url = f"rtsp://127.0.0.1:{free_port()}/a"
    result = eyrie("detect", url, "--hwaccel", "cuda", "--sink", "-", "--quiet")
    assert result.returncode == 2
    assert result.stderr.startswith(f"eyrie: streams.127.0.0.1-a.hwaccel: cuda: {LACKS['cuda']}")


@pytest.mark.skipif(bool(HERE), reason="a device that decodes is here")
def test_check_says_what_decodes(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", FRAMES)
    page = tmp_path / "run.yaml"
    streams = "\n".join(
        f"  - {{id: {kind}, hwaccel: {kind}, source: {{kind: file, path: {clip}}}}}"
        for kind in ("none", "auto", "cuda", "vaapi")
    )
    page.write_text(f"streams:\n{streams}\nsinks: [{{kind: jsonl, path: '-'}}]\n")
    result = eyrie("check", page)
    assert result.returncode == 1
    lines = result.stdout.splitlines()
    assert "ok    stream none: pictures from 1 source: 64x48" in lines
    why = "; ".join(LACKS.values())
    auto = f"ok    stream auto: pictures from 1 source: 64x48 decoded by software ({why})"
    assert auto in lines
    for kind in ("cuda", "vaapi"):
        told = f"wrong stream {kind}: stream '{kind}': hwaccel {kind}: {LACKS[kind]}"
        assert told in lines


async def test_a_camera_with_auto_says_what_decodes_it(
    make_site: SiteMaker, clips: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    site = make_site({"plain": clips["plain"]})
    auto = camera("auto", site.url("plain")) | {"hwaccel": "auto"}
    async with running(auto, camera("none", site.url("plain"))) as run:
        await run.published("auto", 5)
        await run.published("none", 5)
    decoder = run.report("auto").decoder
    assert decoder is not None
    assert decoder.used == (HERE[0] if HERE else "software")
    assert bool(decoder.why) == (not HERE)
    (up,) = run.statuses("auto")
    assert up.reason == f"first frame decoded by {decoder}"
    assert run.statuses("none")[0].reason == "first frame decoded"
    assert_whole(run.frames("auto"))
    told = [r.message for r in caplog.records if r.levelname == "WARNING"]
    assert told.count(f"stream 'auto': decoded by {decoder}") == (not HERE)
