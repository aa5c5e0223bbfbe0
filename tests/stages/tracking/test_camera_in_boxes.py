"""The camera's motion is found in the boxes, and only where it moved."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.arrays import F32, F64
from stages.tracking import Tracker
from stages.tracking.camera import camera_motion
from stages.tracking.motion import Motion, warped

RNG_SEED = 5


def _crowd(rng: np.random.Generator, count: int = 20) -> F32:
    low = rng.uniform((0, 0), (1800, 800), (count, 2))
    size = rng.uniform((40, 100), (70, 180), (count, 2))
    return np.concatenate([low, low + size], axis=1).astype(np.float32)


def _affine(scale: float, turn: float, x: float, y: float) -> F64:
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    return np.array([[c, -s, x], [s, c, y]])


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.97, 1.03),
    st.floats(-0.02, 0.02),
    st.floats(-25, 25),
    st.floats(-25, 25),
)
def test_what_is_found_brings_boxes_nearer_or_nothing_is(
    seed: int, scale: float, turn: float, x: float, y: float
) -> None:
    before = _crowd(np.random.default_rng(seed))
    after = warped(_affine(scale, turn, x, y), before)
    found = camera_motion(before, after)
    if found is not None:
        wrong = np.abs(warped(found, before) - after).mean()
        assert wrong < np.abs(before - after).mean()


def test_shift_zoom_and_roll_are_told_in_spite_of_those_who_walk() -> None:
    rng = np.random.default_rng(RNG_SEED)
    before, true = _crowd(rng), _affine(1.02, 0.01, 18, -9)
    after = warped(true, before) + rng.normal(0, 1, before.shape).astype(np.float32)
    after[:4] += np.float32(30)  # these run
    found = camera_motion(before, after)
    assert found is not None
    corners = np.array([[200.0, 200, 1], [1600, 200, 1], [200, 900, 1], [1600, 900, 1]])
    assert np.abs(corners @ (found - true).T).max() < 4


def test_a_jump_wider_than_the_boxes_is_found_by_votes() -> None:
    before = _crowd(np.random.default_rng(RNG_SEED), 12)
    found = camera_motion(before, before + np.array([150, 60, 150, 60], np.float32))
    assert found is not None
    np.testing.assert_allclose(found, [[1, 0, 150], [0, 1, 60]], atol=0.5)


def test_a_still_camera_is_not_moved() -> None:
    rng = np.random.default_rng(RNG_SEED)
    before = _crowd(rng)
    trembling = before + rng.normal(0, 2, before.shape).astype(np.float32)
    assert camera_motion(before, trembling) is None
    walking = before + np.tile(rng.normal(0, 6, (len(before), 2)), 2).astype(np.float32)
    assert camera_motion(before, walking) is None
    assert camera_motion(before[:3], before[:3] + np.float32(20)) is None
    assert camera_motion(before[:0], before) is None


def test_motion_follows_an_affine() -> None:
    motion, box = Motion(), np.array([[10, 20, 30, 60]], np.float32)
    motion.add(box)
    motion.mean[1, 0] = [1, 0, 0.5, 0]
    variance = motion.cov.copy()
    motion.warp(np.array([[0.0, -2, 5], [2, 0, 7]]))
    np.testing.assert_allclose(motion.mean[0, 0], [-75, 47, 40, 80])
    np.testing.assert_allclose(motion.mean[1, 0], [0, 2, 1, 0])
    np.testing.assert_allclose(motion.cov, 4 * variance)


def _keeps_everybody(told: bool) -> bool:
    """Whether nine people in a row, one place apart, keep their ids before a camera that jumps to
    and fro by a place; without being told of it the tracker sees them change places."""
    tracker, at = Tracker(camera_from_boxes=False, confirm_hits=1), 0.0
    row = np.stack([np.arange(9) * 100.0, np.full(9, 50.0)], axis=1)
    kept = True
    for frame in range(20):
        step = 0.0 if frame == 0 else (100.0 if frame % 2 else -100.0)
        at += step
        low = row + np.array([at, 0])
        boxes = np.concatenate([low, low + np.array([50, 120])], axis=1).astype(np.float32)
        tracks = tracker.update(
            boxes,
            np.full(9, 0.9, np.float32),
            np.zeros(9, np.int32),
            camera_motion=np.array([[1, 0, step], [0, 1, 0]]) if told else None,
        )
        kept &= tracks.detection_index.tolist() == list(range(9)) and tracks.track_id[-1] == 9
    return kept


def test_a_told_motion_keeps_everybody_and_without_it_they_are_taken_for_neighbours() -> None:
    assert _keeps_everybody(told=True)
    assert not _keeps_everybody(told=False)


@pytest.mark.parametrize("size", [1.0, 3.0])
def test_a_shaking_camera_without_a_picture_keeps_ids(size: float) -> None:
    rng = np.random.default_rng(RNG_SEED)
    people = _crowd(rng, 16)
    given_ids = {}
    for from_boxes in (True, False):
        tracker, shake = Tracker(camera_from_boxes=from_boxes), np.random.default_rng(1)
        for _ in range(60):
            moved = people + np.tile(shake.normal(0, 15 * size, 2), 2).astype(np.float32)
            count = len(moved)
            tracker.update(moved, np.full(count, 0.9, np.float32), np.zeros(count, np.int32))
        given_ids[from_boxes] = tracker._last_id
    assert given_ids[True] == 16
    assert given_ids[True] <= given_ids[False]


def test_thin_boxes_far_apart_cost_no_memory() -> None:
    """Votes are in cells of half a width: here a ballot of them all would take terabytes."""
    rng = np.random.default_rng(RNG_SEED)
    low = rng.uniform(0, 1e6, (2, 60, 2))
    thin = np.concatenate([low, low + np.array([1, 1e5])], axis=2).astype(np.float32)
    assert camera_motion(thin[0], thin[1]) is None
