"""What was observed of a track: its last box and its direction."""

import numpy as np
import pytest

from stages.tracking.history import History

FIRST = np.zeros(1, np.int64)


def _walk(step_px: float, fps: float = 20.0, frames: int = 6) -> History:
    history = History()
    for frame in range(frames):
        box = np.array([[step_px * frame, 0, step_px * frame + 40, 100]], np.float32)
        if frame == 0:
            history.add(box, 0.0)
        else:
            history.hit(np.array([0]), box, frame / fps)
    return history


def test_going_on_is_best_and_turning_back_worst() -> None:
    history = _walk(10)
    shifts = np.array([(20, 0) * 2, (-30, 80) * 2, (-90, 0) * 2], np.float32)
    onward = history.onward(np.zeros(3, np.int64), history.box[0] + shifts)
    assert onward.tolist() == pytest.approx([0.5, 0.0, -0.5], abs=0.02)


def test_a_direction_of_a_short_way_counts_little_and_of_none_nothing() -> None:
    ahead = np.array([[500, 0, 540, 100]], np.float32)
    assert abs(_walk(0).onward(FIRST, ahead).item()) == 0
    assert 0 < _walk(0.3).onward(FIRST, ahead).item() < 0.1
    assert _walk(10).onward(FIRST, ahead).item() == pytest.approx(0.5)


def test_it_moves_with_the_camera() -> None:
    history = _walk(10)
    history.warp(np.array([[2.0, 0, 5], [0, 2, 7]]))
    assert history.box[0].tolist() == [105, 7, 185, 207]
    ahead = np.array([[300, 7, 380, 207]], np.float32)
    assert history.onward(FIRST, ahead).item() == pytest.approx(0.5)
