"""A guard against regressions of speed that a busy machine does not disturb: counts, not times.

Each bar is what was counted when it was set, and a quarter more. `python -m benchmarks.calls`
prints the counts of today.
"""

from pathlib import Path
from typing import Final

import pytest

from benchmarks.calls import Calls, calls_per_frame, held_bytes, run
from benchmarks.throughput import make_clip

SLACK: Final = 1.25
CALLS: Final = {0: 430.0, 10: 590.0}
"""By objects in every picture."""
FULL_PICTURE_BYTES: Final = 1920 * 1080


@pytest.mark.parametrize("objects", CALLS)
def test_calls_for_one_more_frame(tmp_path: Path, objects: int) -> None:
    found = calls_per_frame(tmp_path, 1, objects)
    assert CALLS[objects] / 2 < found <= SLACK * CALLS[objects]


def test_a_frame_costs_no_more_among_many_streams(tmp_path: Path) -> None:
    few = calls_per_frame(tmp_path, 4, 0, 24)
    assert calls_per_frame(tmp_path, 32, 0, 6) <= SLACK * few


def test_no_full_picture_of_1080p_is_copied_or_converted(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", 6)
    assert held_bytes(clip) < FULL_PICTURE_BYTES
    with Calls().counting() as calls:
        assert run(clip, 1, 0) == 6
    assert calls.of("fit") >= 6
    assert calls.of("rgb") == calls.of("_converted") == 0
