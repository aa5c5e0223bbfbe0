"""The closed form is the Kalman filter of the textbook, and time means the same at every rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.arrays import F32, F64
from stages.tracking.motion import TICKS_PER_S, Motion, to_centre

SMALL = np.array([[0, 0, 20, 40]], np.float32)
NONE_LOST = np.zeros(1, np.bool_)
steps = st.lists(st.tuples(st.floats(0.01, 0.5), st.booleans()), min_size=1, max_size=12)


def _matrices(ticks: float, size: F64) -> tuple[F64, F64, F64]:
    """Transition, process noise and measurement noise of the 8 x 8 filter."""
    transition = np.eye(8)
    transition[:4, 4:] = ticks * np.eye(4)
    process = np.diag(np.concatenate([(size / 20) ** 2, (size / 160) ** 2])) * ticks
    return transition, process, np.diag((size / 20) ** 2)


def _textbook(box: F32, steps: list[tuple[float, bool]]) -> tuple[F64, F64]:
    """Mean (8,) and covariance (8, 8) after predicting, and measuring `box` where told to."""
    seen = to_centre(box)[0]
    size = np.tile(seen[2:], 2)
    mean = np.concatenate([seen, np.zeros(4)])
    cov = np.diag(np.concatenate([(size / 10) ** 2, (size / 16) ** 2]))
    look = np.eye(4, 8)
    for step_s, measured in steps:
        size = np.tile(mean[2:4], 2)
        transition, process, _ = _matrices(step_s * TICKS_PER_S, size)
        mean, cov = transition @ mean, transition @ cov @ transition.T + process
        if measured:
            noise = _matrices(1, np.tile(mean[2:4], 2))[2]
            gain = cov @ look.T @ np.linalg.inv(look @ cov @ look.T + noise)
            mean, cov = mean + gain @ (seen - look @ mean), (np.eye(8) - gain @ look) @ cov
    return mean, cov


@given(steps)
def test_closed_form_equals_the_matrix_filter(steps: list[tuple[float, bool]]) -> None:
    motion = Motion()
    motion.add(SMALL)
    for step_s, measured in steps:
        motion.predict(step_s, NONE_LOST)
        if measured:
            motion.correct(np.array([0]), SMALL)
    mean, cov = _textbook(SMALL, steps)
    np.testing.assert_allclose(motion.mean[:, 0].ravel(), mean, atol=1e-9)
    np.testing.assert_allclose(motion.cov[0, 0], np.diag(cov)[:4], rtol=1e-9)
    np.testing.assert_allclose(motion.cov[1, 0], np.diag(cov[:4, 4:]), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(motion.cov[2, 0], np.diag(cov)[4:], rtol=1e-9)


@pytest.mark.parametrize("fps", [5, 12.5, 30, 60])
def test_velocity_is_learnt_at_any_frame_rate(fps: float) -> None:
    """120 px/s is 4 px per tick, however often one looks."""
    motion = Motion()
    motion.add(SMALL)
    for frame in range(1, int(4 * fps)):
        motion.predict(1 / fps, NONE_LOST)
        shift = np.array([120 * frame / fps, 0, 120 * frame / fps, 0], np.float32)
        motion.correct(np.array([0]), SMALL + shift)
    assert motion.mean[1, 0, 0] == pytest.approx(4.0, rel=0.02)


def test_tracks_do_not_influence_each_other() -> None:
    boxes = np.array([[0, 0, 20, 40], [300, 100, 420, 260], [5, 5, 30, 31]], np.float32)
    together, alone = Motion(), Motion()
    together.add(boxes)
    alone.add(boxes[1:2])
    for frame in range(5):
        together.predict(0.04, np.zeros(3, np.bool_))
        together.correct(np.array([2, 1]), boxes[[2, 1]] + np.float32(3 * frame))
        alone.predict(0.04, NONE_LOST)
        alone.correct(np.array([0]), boxes[1:2] + np.float32(3 * frame))
    np.testing.assert_array_equal(together.mean[:, 1], alone.mean[:, 0])
    np.testing.assert_array_equal(together.cov[:, 1], alone.cov[:, 0])


def test_a_lost_track_moves_on_and_keeps_its_size() -> None:
    motion = Motion()
    motion.add(SMALL)
    motion.mean[1, 0] = [2, 0, -3, -3]
    for _ in range(30):
        motion.predict(1 / 30, np.ones(1, np.bool_))
    left, top, right, bottom = motion.boxes()[0].tolist()
    assert (right - left, bottom - top) == pytest.approx((20, 40))
    assert (left, top) == pytest.approx((60, 0))


def test_no_box_shrinks_to_nothing() -> None:
    motion = Motion()
    motion.add(SMALL)
    motion.mean[1, 0, 2:] = -50
    motion.predict(1.0, NONE_LOST)
    left, top, right, bottom = motion.boxes()[0].tolist()
    assert right - left >= 0.99
    assert bottom - top >= 0.99
