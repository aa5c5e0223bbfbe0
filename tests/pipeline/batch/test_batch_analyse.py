"""One file to one file of messages: the same bytes always, and a reason when it cannot be."""

import json
import os
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from pipeline.batch.analyse import PartFile, analyse
from pipeline.batch.inputs import stream_id
from pipeline.batch.result import CannotWrite, Job, Progress, Result
from pipeline.batch.settings import load
from pipeline.core.arrays import U8
from pipeline.core.errors import DecodeError, EngineRunError
from pipeline.core.messages import EndOfStreamMessage, FrameMessage, decode
from sinks.base import Outgoing
from stages.sources.file import FileSource
from tests.pipeline.batch.cheap import GREY, BarDetector
from tests.stages.sources.clips import encode


def start(job: Job, tell: Callable[[Progress], object], *overrides: str) -> Result:
    settings, detector = load(None, overrides, {}), BarDetector()
    return analyse(job, settings, settings.identity(detector), detector, tell)


def run(path: Path, *overrides: str, part: Path | None = None) -> tuple[Result, bytes]:
    part = part or path.with_name("part")
    result = start(Job(path, stream_id(path.name), part), lambda progress: None, *overrides)
    return result, part.read_bytes() if result.part_sha256 else b""


def test_time_process_and_batch_size_leave_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = encode(tmp_path / "a.mp4", 30)
    result, first = run(clip)
    monkeypatch.setattr("os.getpid", lambda: 77)
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    assert run(clip, "batch.size=8")[1] == first
    assert run(clip, "batch.size=1")[1] == first
    assert result.error is None
    assert (result.decoded, result.frames, result.messages) == (30, 30, len(first.splitlines()))
    assert result.part_bytes == len(first)
    assert result.detections == {"bar": 30}
    assert result.video_s == pytest.approx(30 / 25, abs=0.01)


def test_the_times_of_messages_are_those_of_the_file(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 5)
    os.utime(clip, ns=(0, 1_700_000_000_000_000_000))
    messages = [decode(line) for line in run(clip)[1].splitlines()]
    assert {message.published_at.isoformat() for message in messages} == {
        "2023-11-14T22:13:20+00:00"
    }
    frames = [message for message in messages if isinstance(message, FrameMessage)]
    assert {frame.arrived_at for frame in frames} == {messages[0].published_at}
    assert len({frame.captured_at for frame in frames}) == 5


def test_ids_follow_content_and_settings_and_neither_place_nor_time(tmp_path: Path) -> None:
    def ids(path: Path, *overrides: str) -> set[str]:
        return {decode(line).message_id for line in run(path, *overrides)[1].splitlines()}

    clip = encode(tmp_path / "a.mp4", 5)
    before = ids(clip)
    os.utime(clip, ns=(0, 1))
    moved = tmp_path / "elsewhere" / "a.mp4"
    moved.parent.mkdir()
    clip.rename(moved)
    assert ids(moved) == before
    assert not ids(moved, "tracking.lost_s=3") & before
    assert not ids(encode(moved, 6)) & before


def damaged(path: Path, seed: int) -> Path:
    """Bits flipped in the pictures of a transport stream: FFmpeg conceals what it can."""
    clip = encode(path, 60, size=(320, 240))
    data, chance = bytearray(clip.read_bytes()), random.Random(seed)
    for _ in range(20):
        data[chance.randrange(2000, len(data))] ^= 1 << chance.randrange(8)
    clip.write_bytes(data)
    return clip


@pytest.mark.parametrize("seed", range(3))
def test_damage_is_concealed_as_one_decoder_thread_does(tmp_path: Path, seed: int) -> None:
    clip = damaged(tmp_path / "a.ts", seed)
    source, detector = FileSource("a", clip, decoder_threads=1), BarDetector()
    wanted: list[float] = []
    with suppress(DecodeError):
        for frame in source.frames():
            wanted += [round(s, 4) for s in detector.detect([frame.image])[0].score.tolist()]
    assert len(wanted) > 20
    messages = [decode(line) for line in run(clip)[1].splitlines()]
    frames = [message for message in messages if isinstance(message, FrameMessage)]
    assert [found.score for frame in frames for found in frame.detections] == wanted
    assert run(clip)[1] == run(clip)[1]


def test_a_file_cut_off_keeps_its_frames_beside_the_reason(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a b.mp4", 60, faststart=True)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size * 2 // 3])
    result, body = run(clip)
    assert result.error is not None
    assert result.error.startswith(f"{clip} is truncated or damaged after")
    messages = [decode(line) for line in body.splitlines()]
    assert sum(isinstance(message, FrameMessage) for message in messages) == result.frames > 10
    assert isinstance(messages[-1], EndOfStreamMessage)
    assert messages[-1].error is not None


def test_what_is_no_video_is_an_error_of_the_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video\n" * 99)
    for name, said in (
        ("pipe.mp4", "is not a regular file"),
        ("gone.mp4", "cannot be read: No such file"),
        ("empty.mp4", "is empty (0 bytes)"),
        ("text.mp4", "not a video"),
    ):
        error = run(tmp_path / name)[0].error
        assert error is not None
        assert error.startswith(str(tmp_path / name))
        assert said in error


def test_a_file_that_changes_meanwhile_is_not_done(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 50)
    job = Job(clip, "a", tmp_path / "part")

    def grow(progress: Progress) -> None:
        os.utime(clip, ns=(0, 1))

    result = start(job, grow)
    assert result.error == f"{clip} changed while it was read"


def test_a_full_disk_ends_the_batch_and_not_the_file(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 5)
    with pytest.raises(CannotWrite, match="/dev/full: No space left on device; when it can"):
        run(clip, part=Path("/dev/full"))
    with pytest.raises(CannotWrite, match="nowhere/part: No such file or directory"):
        run(clip, part=tmp_path / "nowhere/part")


def grey(index: int, width: int, height: int) -> U8:
    return np.full((height, width, 3), GREY, np.uint8)


def test_a_failing_engine_is_an_error_of_the_worker(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 5, picture=grey)
    with pytest.raises(EngineRunError, match="unexpected ValueError: a grey picture"):
        run(clip)


def test_notes_hold_what_the_source_warned_of(tmp_path: Path) -> None:
    clip = damaged(tmp_path / "a.ts", 1)
    result, _ = run(clip)
    assert any("damaged frames" in note for note in result.notes) or result.error


def test_a_part_counts_and_hashes_what_it_takes(tmp_path: Path) -> None:
    part = PartFile(tmp_path / "part")
    part.open()
    part.write([Outgoing("frame", "s", "1", b'{"pts_ns": 0}'), Outgoing("event", "s", "2", b"{}")])
    part.write([Outgoing("frame", "s", "3", json.dumps({"pts_ns": 500_000_000}).encode())])
    part.close()
    part.close()
    assert (part.frames, part.messages, part.video_s) == (2, 3, 1.0)
    assert part.size_bytes == (tmp_path / "part").stat().st_size
