import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.arrays import F64
from stages.plane import Motion, SpeedParams
from tests.stages.plane.plane_world import CAMERA, Jitter, boxes, ids, meter

PARAMS = SpeedParams(acceleration_by_speed=0)


def walk(
    ground: F64, velocity: F64, fps: float, seconds: float, *, seed: int = 0, scale: int = 1,
    wander: float = 0.0,
) -> tuple[list[Motion], list[F64]]:  # fmt: skip
    """What is told of people who walk with jittering boxes, and their true velocities. `wander`:
    m/s of change after one second."""
    rng = np.random.default_rng(seed)
    camera = CAMERA.scaled(scale)
    jitter = Jitter(len(ground), PARAMS, rng)
    measured = meter(PARAMS, camera)
    told, true = [], []
    for frame in range(round(seconds * fps)):
        found = jitter.after(1 / fps, boxes(camera, ground), camera.height)
        told.append(measured.update(found, ids(len(ground)), frame / fps))
        true.append(velocity.copy())
        velocity = velocity + rng.normal(0, wander / np.sqrt(fps), velocity.shape)
        ground = ground + velocity / fps
    return told, true


def crowd(count: int, seed: int) -> tuple[F64, F64]:
    rng = np.random.default_rng(seed)
    ground = np.column_stack([rng.uniform(-5, 5, count), rng.uniform(10, 35, count)])
    angle = rng.uniform(0, 2 * np.pi, count)
    return ground, 1.4 * np.column_stack([np.cos(angle), np.sin(angle)])


@pytest.mark.parametrize("fps", [5, 12.5, 30])
def test_stated_uncertainty_holds(fps: float) -> None:
    """Of people who change their velocity as much as stated, with boxes that jitter as stated, the
    95 % interval of each component and of the speed holds 90 to 99 %."""
    ground, velocity = crowd(300, 1)
    told, true = walk(ground, velocity, fps, 3, seed=2, wander=PARAMS.acceleration_m_s2)
    within, speeds_within = [], []
    for motion, velocities in list(zip(told, true, strict=True))[round(fps) :: round(fps / 2.5)]:
        known = ~np.isnan(motion.speed_m_s)
        off = motion.velocity_m_s[known] - velocities[known]
        way = motion.velocity_m_s[known] / np.linalg.norm(
            motion.velocity_m_s[known], axis=1, keepdims=True
        )
        sd = motion.speed_sd_m_s[known]
        within.append(np.abs((off * way).sum(axis=1)) < 1.96 * sd)
        speed = np.linalg.norm(velocities[known], axis=1)
        speeds_within.append(np.abs(motion.speed_m_s[known] - speed) < 1.96 * sd)
    assert 0.90 <= np.concatenate(within).mean() <= 0.99
    assert 0.90 <= np.concatenate(speeds_within).mean() <= 0.995


@given(st.floats(0.8, 12), st.floats(-np.pi, np.pi), st.sampled_from([10.0, 25.0]))
@settings(max_examples=25, deadline=None)
def test_straight_ways_give_their_speed(speed: float, angle: float, fps: float) -> None:
    """Without jitter the velocity within 2 %; so the speed, where it is three times its sd."""
    velocity = speed * np.array([[np.cos(angle), np.sin(angle)]])
    measured, told = meter(), Motion.unknown(1)
    for frame in range(round(2 * fps)):
        ground = np.array([(0.0, 20.0)]) + velocity * (frame / fps - 1)
        told = measured.update(boxes(CAMERA, ground), ids(1), frame / fps)
        if frame and np.isnan(told.position_m).any():
            return  # out of the picture
    assert told.velocity_m_s[0] == pytest.approx(velocity[0], rel=0.02, abs=0.03)
    if speed > 3 * told.speed_sd_m_s[0]:
        assert told.speed_m_s[0] == pytest.approx(speed, rel=0.03)


def test_walkers_with_jitter_have_their_speed_in_the_mean() -> None:
    ground, velocity = crowd(400, 3)
    told, _ = walk(ground, velocity, 25, 3, seed=4)
    assert np.nanmean(told[-1].speed_m_s) == pytest.approx(1.4, rel=0.07)


def test_who_stands_has_no_speed() -> None:
    ground, velocity = crowd(300, 5)
    told, _ = walk(ground, 0 * velocity, 25, 3, seed=6)
    late = told[-1]
    known = ~np.isnan(late.speed_m_s)
    assert known.mean() > 0.8
    assert np.median(late.speed_m_s[known]) < 0.05
    assert (late.speed_m_s[known] <= 2 * late.speed_sd_m_s[known]).mean() > 0.95


def test_far_away_is_less_certain() -> None:
    distances = np.array([10.0, 15, 20, 25, 30, 40])
    ground = np.column_stack([np.zeros(6), distances])
    told, _ = walk(ground, np.zeros((6, 2)), 25, 2)
    assert (np.diff(told[-1].position_sd_m) > 0).all()
    spread = [np.nanmean([motion.speed_sd_m_s for motion in told[15:]], axis=0)]
    assert (np.diff(spread) > 0).all()


def test_scale_of_the_picture_changes_nothing() -> None:
    ground, velocity = crowd(20, 7)
    (small, _), (large, _) = (walk(ground, velocity, 10, 2, scale=scale) for scale in (1, 2))
    for one, other in zip(small, large, strict=True):
        for name in ("position_m", "position_sd_m", "velocity_m_s", "speed_m_s", "speed_sd_m_s"):
            found, wanted = getattr(one, name), getattr(other, name)
            assert np.allclose(found, wanted, rtol=1e-6, atol=1e-9, equal_nan=True)


def test_uneven_frames_give_the_same_speed() -> None:
    rng = np.random.default_rng(8)
    times = np.cumsum(rng.choice([0.02, 0.04, 0.2], 60))
    measured, told = meter(), Motion.unknown(1)
    for now in times.tolist():
        told = measured.update(boxes(CAMERA, np.array([(now / 2 - 1, 14.0)])), ids(1), now)
    assert told.velocity_m_s[0] == pytest.approx((0.5, 0), abs=0.02)


def test_no_speed_before_enough_history() -> None:
    told, _ = walk(np.array([(0.0, 12.0)]), np.array([(1.0, 0.0)]), 10, 1.2)
    known = [not np.isnan(motion.speed_m_s[0]) for motion in told]
    assert known == [False] * 5 + [True] * 7
    assert not np.isnan(told[0].position_m).any()


def test_gap_begins_anew() -> None:
    measured = meter()
    told = Motion.unknown(1)
    for frame in range(20):
        told = measured.update(boxes(CAMERA, np.array([(0.1 * frame, 12.0)])), ids(1), frame / 10)
    assert told.speed_m_s[0] == pytest.approx(1, abs=0.2)
    after = measured.update(boxes(CAMERA, np.array([(-3.0, 12.0)])), ids(1), 10.0)
    assert np.isnan(after.speed_m_s[0])
    assert after.position_m[0] == pytest.approx((-3, 12))


def test_reset_and_forget_leave_nothing() -> None:
    measured, ground = meter(), np.array([(0.0, 12.0), (1.0, 12.0)])
    for frame in range(10):
        measured.update(boxes(CAMERA, ground), ids(2), frame / 10)
    measured.forget(np.array([1, 77]))
    assert len(measured) == 1
    told = measured.update(boxes(CAMERA, ground), ids(2), 1.0)
    assert np.isnan(told.speed_m_s).tolist() == [True, False]
    measured.reset()
    assert len(measured) == 0
    assert np.isnan(measured.update(boxes(CAMERA, ground), ids(2), 0.0).speed_m_s).all()


def test_cut_and_hidden_grounds_tell_nothing() -> None:
    whole = boxes(CAMERA, np.array([(0.0, 12.0)]))[0]
    sky = np.array([900.0, 5.0, 910.0, CAMERA.horizon_px - 5])
    below = np.array([900.0, 500.0, 1000.0, 1080.0])
    left, right = np.array([0.0, 500, 60, 700]), np.array([1860.0, 500, 1920, 700])
    far = np.array([900.0, 100.0, 903.0, CAMERA.horizon_px + 3])
    told = meter().update(np.array([whole, sky, below, left, right, far]), ids(6), 0.0)
    assert np.isnan(told.position_sd_m).tolist() == [False] + [True] * 5


def test_memory_holds_only_who_is_seen() -> None:
    measured, ground = meter(), crowd(10, 9)[0]
    for frame in range(400):
        track_id = ids(10) + 10 * frame
        measured.update(boxes(CAMERA, ground), track_id, frame / 10)
        assert len(measured) <= 10 * (2 * PARAMS.gap_s * 10 + 2)


def test_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="nan s is no time"):
        meter().update(boxes(CAMERA, np.array([(0.0, 12.0)])), ids(1), float("nan"))


def test_hundred_tracks_are_quick() -> None:
    """The fastest of many, with room for a busy machine."""
    measured, (ground, velocity) = meter(), crowd(100, 10)
    spent_s = []
    for frame in range(200):
        found = boxes(CAMERA, ground + velocity * frame / 100)
        began_s = time.perf_counter()
        measured.update(found, ids(100), frame / 25)
        spent_s.append(time.perf_counter() - began_s)
    assert min(spent_s) < 0.002
