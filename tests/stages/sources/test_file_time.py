"""Files whose time jumps, wraps or is missing: real transport streams, cut and joined."""

from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.core.clock import SECOND_NS
from pipeline.core.frame import FrameInfo
from stages.sources.file import FileSource
from stages.sources.reading import Reading
from tests.stages.sources.clips import MakeClip

STEP_NS = 40_000_000
FULL_TURN_FRAMES = 2**33 // 3600  # at 25 frames a second


def read(path: Path, fps: float | None = None) -> tuple[list[FrameInfo], FileSource]:
    source = FileSource("cam", path, Reading(fps=fps))
    return [frame.info for frame in source.frames()], source


def joined(make_clip: MakeClip, tmp_path: Path, *shifts: int) -> Path:
    """Recordings of 50 frames, one behind the other in one file, each with times of its own."""
    path = tmp_path / "joined.ts"
    with path.open("wb") as file:
        for place, shift in enumerate(shifts):
            file.write(make_clip(f"{place}.ts", 50, shift=shift).read_bytes())
    return path


@pytest.mark.parametrize(
    "shifts",
    [(90_000, 1000), (1000, 5 * 90_000)],
    ids=["back by an hour", "forward by five hours"],
)
def test_a_jump_is_a_new_epoch_and_capture_times_go_on(
    make_clip: MakeClip, tmp_path: Path, shifts: tuple[int, int]
) -> None:
    infos, source = read(joined(make_clip, tmp_path, *shifts))
    assert [info.seq for info in infos] == list(range(100))
    assert [info.epoch for info in infos] == [0] * 51 + [1] * 49
    assert {b.captured_ns - a.captured_ns for a, b in pairwise(infos)} == {STEP_NS}
    assert abs(infos[-1].pts_ns - infos[51].pts_ns) == 48 * STEP_NS
    assert (source.counts.times.jumps_total, source.counts.times.repaired_total) == (1, 1)


def test_a_jump_back_does_not_starve_a_capped_rate(make_clip: MakeClip, tmp_path: Path) -> None:
    infos, _ = read(joined(make_clip, tmp_path, 90_000, 0), fps=5)
    assert [info.seq for info in infos] == list(range(0, 100, 5))


def test_a_pause_of_minutes_is_no_jump(make_clip: MakeClip, tmp_path: Path) -> None:
    infos, source = read(joined(make_clip, tmp_path, 0, 50 + 25 * 600))
    assert {info.epoch for info in infos} == {0}
    pause_ns = infos[50].captured_ns - infos[49].captured_ns
    assert pause_ns == pytest.approx(600 * SECOND_NS, abs=SECOND_NS // 5)
    assert source.counts.times.repaired_total == 0


def test_a_transport_stream_whose_counter_runs_over(make_clip: MakeClip) -> None:
    infos, source = read(make_clip("over.ts", 100, shift=FULL_TURN_FRAMES - 50))
    assert len(infos) == 100
    assert {info.epoch for info in infos} == {0}
    assert all(abs(b.pts_ns - a.pts_ns - STEP_NS) <= 12_000 for a, b in pairwise(infos))
    assert source.counts.times.repaired_total == source.counts.times.jumps_total == 0


def test_a_counter_that_runs_over_between_two_recordings(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    path = joined(make_clip, tmp_path, FULL_TURN_FRAMES // 2, FULL_TURN_FRAMES - 52, 0)
    infos, _ = read(path)
    assert [info.epoch for info in infos[60:]] == [1] * 90
    steps_ns = [b.captured_ns - a.captured_ns for a, b in pairwise(infos)]
    assert 0 < steps_ns.pop(99) < 10 * STEP_NS  # the last recording begins a little late
    assert set(steps_ns) == {STEP_NS}
