"""A batch killed with -9 at seeded points and resumed, against the same one left alone."""

import json
import os
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from pipeline.core.messages import EndOfStreamMessage, FrameMessage, decode
from tests.services import batches
from tests.stages.sources.clips import encode

CLIPS, FRAMES = 40, 15

pytestmark = pytest.mark.timeout(400)  # it starts a dozen batches, each with new processes


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 clips in three folders, one cut off, one damaged."""
    folder = tmp_path_factory.mktemp("kill") / "videos"
    kinds = [encode_kind(folder, kind) for kind in range(4)]
    for number in range(CLIPS):
        place = folder / ("", "north gate", "süd/2")[number % 3]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy2(kinds[number % 4], place / f"clip {number}.mp4")
    for kind in kinds:
        kind.unlink()
    cut = folder / "clip 0.mp4"
    cut.write_bytes(cut.read_bytes()[:-400])
    return folder


def encode_kind(folder: Path, kind: int) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"kind{kind}.mp4"
    return encode(path, FRAMES, size=(96 + 32 * kind, 64), faststart=True)


@pytest.fixture(scope="module")
def reference(videos: Path) -> Path:
    """What a run gives that nobody disturbs: one worker, batches of one."""
    out = videos.parent / "reference"
    done = batches.run("bar", videos, *batches.options(out, 1, 1))
    assert done.returncode == 1, done.stderr
    assert "clip 0.mp4" in done.stderr
    return out


def check_whole(out: Path) -> None:
    """Every file has an end and each of its frames once; no part is left."""
    assert not (out / "parts").exists()
    found = sorted((out / "messages").rglob("*.jsonl"))
    assert len(found) == CLIPS - 1
    ids = set()
    for file in found:
        messages = [decode(line) for line in file.read_bytes().splitlines()]
        ids |= {message.message_id for message in messages}
        frames = [message.seq for message in messages if isinstance(message, FrameMessage)]
        assert frames == list(range(FRAMES))
        assert isinstance(messages[-1], EndOfStreamMessage)
    lines = sum(len(file.read_bytes().splitlines()) for file in found)
    assert len(ids) == lines


def test_ten_kills_leave_the_same_bytes(videos: Path, reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    kills = batches.plan(6, 10, CLIPS * FRAMES, workers=(1, 3), sizes=(1, 8))
    last = batches.killed_and_resumed("bar", tmp_path, videos, out, kills)
    assert last.returncode == 1, last.stderr
    check_whole(out)
    assert batches.digest(out) == batches.digest(reference)
    assert batches.files(out) == batches.files(reference)


@pytest.mark.parametrize(("workers", "size"), [(3, 8)])
def test_workers_and_batch_size_change_no_byte(
    videos: Path, reference: Path, tmp_path: Path, workers: int, size: int
) -> None:
    done = batches.run("bar", videos, *batches.options(tmp_path / "out", workers, size))
    assert done.returncode == 1, done.stderr
    check_whole(tmp_path / "out")
    assert batches.files(tmp_path / "out") == batches.files(reference)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_within_two_seconds_and_leaves_what_can_be_resumed(
    videos: Path, reference: Path, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "out"
    with batches.running("bar", tmp_path, videos, *batches.options(out, 2, 4)) as batch:
        batch.wait_for(100)
        began_s = time.monotonic()
        os.killpg(batch.process.pid, number)  # as a terminal does: to the workers too
        _, complaint = batch.process.communicate(timeout=20)
        assert time.monotonic() - began_s < 2
        batch.wait_until_all_are_gone()
    assert batch.process.returncode == 130
    assert complaint.splitlines()[-1].endswith("go on with --resume")
    assert "Traceback" not in complaint
    with sqlite3.connect(out / "manifest.sqlite") as db:
        states = dict(db.execute("SELECT state, count(*) FROM files GROUP BY state").fetchall())
    db.close()
    assert set(states) <= {"queued", "done", "failed"}
    assert states["queued"] > 0
    assert json.loads((out / "report.json").read_text())["stopped"] is True
    assert batches.run("bar", videos, *batches.options(out, 2, 4), "--resume").returncode == 1
    assert batches.files(out) == batches.files(reference)
