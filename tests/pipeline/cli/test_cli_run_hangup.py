"""`eyrie run` and SIGHUP: the command as people run it."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.core.messages import FrameMessage, Message, decode
from tests.services.redis_servers import wait_until
from tests.stages.sources.clips import encode

ROOT = Path(__file__).resolve().parents[3]
EYRIE = (sys.executable, "-c", "from pipeline.cli import main; main()")
WITHIN_S = 180

pytestmark = pytest.mark.timeout(900)


def configuration(clip: Path, out: Path, streams: dict[str, int], more: str = "") -> str:
    """Streams with their caps on the frame rate, of which a busy machine drops nothing else."""
    lines = [
        f"  - {{id: {name}, when_full: block, fps: {fps},"
        f" source: {{kind: file, path: {clip}, realtime: true}}}}"
        for name, fps in streams.items()
    ]
    sink = f"sinks: [{{kind: jsonl, path: '{out}/{{stream_id}}.jsonl'}}]"
    return "\n".join(["streams:", *lines, sink, more, ""])


def told(out: Path, name: str) -> list[Message]:
    path = out / f"{name}.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [decode(line) for line in lines]


def frames(out: Path, name: str) -> int:
    """The frame messages so far; decoding them each time would take the run's share of the CPU."""
    path = out / f"{name}.jsonl"
    return path.read_bytes().count(b'"kind":"frame"') if path.exists() else 0


def wait_for_frames(out: Path, *names: str) -> None:
    goals = {name: frames(out, name) + 3 for name in names}
    wait_until(
        lambda: all(frames(out, name) >= goal for name, goal in goals.items()),
        f"more frames of {names}", WITHIN_S,
    )  # fmt: skip


class Command:
    """The running command and what it says on standard error."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def hang_up(self) -> str:
        """SIGHUP: the lines of its answer, without their times and without others."""
        self._process.send_signal(signal.SIGHUP)
        said = self.until(b"SIGHUP: ").splitlines(keepends=True)
        return "".join(line for line in said if "SIGHUP: " in line)

    def until(self, word: bytes) -> str:
        """What it says until a line with this, without the times."""
        assert self._process.stderr is not None
        said, deadline_s = b"", time.monotonic() + WITHIN_S
        while word not in said or not said.endswith(b"\n"):
            left_s = deadline_s - time.monotonic()
            assert select.select([self._process.stderr], [], [], max(left_s, 0))[0], said
            chunk = os.read(self._process.stderr.fileno(), 65_536)
            assert chunk, said
            said += chunk
        return re.sub(r"(?m)^\d{4}-\d\d-\d\dT[\d:]{8}\S+ ", "", said.decode())


def test_a_hangup_changes_the_streams_that_differ_and_nothing_else(tmp_path: Path) -> None:
    clip = encode(tmp_path / "clip.mp4", 3000, rate=10)
    out, file = tmp_path / "out", tmp_path / "c.yaml"
    file.write_text(configuration(clip, out, {"still": 4, "changes": 4, "goes": 4}))
    command = [*EYRIE, "run", str(file), "--quiet"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=ROOT) as process:
        try:
            run = Command(process)
            wait_for_frames(out, "still", "changes", "goes")
            file.write_text("streams: [{id: still}]\n")
            refused = run.hang_up()
            assert refused == "ERROR SIGHUP: streams[0].source: missing\n"
            wait_for_frames(out, "still", "changes", "goes")
            streams = {"still": 4, "changes": 5, "comes": 4}
            file.write_text(configuration(clip, out, streams, "batch: {size: 3}"))
            lines = run.hang_up().splitlines()
            while len(lines) < 2:
                lines += [line for line in run.until(b"SIGHUP: ").splitlines() if "SIGHUP" in line]
            assert lines == [
                "WARNING SIGHUP: only streams change in a run; restart it for the change of"
                " batch.size",
                "WARNING SIGHUP: added comes; removed goes; changed changes",
            ]
            wait_for_frames(out, "still", "changes", "comes")
            process.send_signal(signal.SIGTERM)
            assert process.wait(WITHIN_S) == 0
        finally:
            process.kill()
    assert told(out, "goes")[-1].kind == "end_of_stream"
    assert {m.epoch for m in told(out, "changes") if isinstance(m, FrameMessage)} == {0, 1}
    still = [m for m in told(out, "still") if isinstance(m, FrameMessage)]
    assert {frame.epoch for frame in still} == {0}
    for before, now in pairwise(still):
        assert set(now.dropped_since_last) <= {"target_fps"}
        assert now.seq - before.seq - 1 == sum(now.dropped_since_last.values())
