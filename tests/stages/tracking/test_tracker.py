"""Tracks on simulated scenes: who keeps an id, who gets one, and what ends."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.arrays import F32, I32, AnyArray
from pipeline.core.tracks import Tracks
from stages.tracking import Tracker

Box = tuple[float, float, float, float]
Found = tuple[F32, F32, I32]
Scene = list[tuple[Found, AnyArray]]
NAN, INF = float("nan"), float("inf")


def _found(*boxes: Box, score: float = 0.9, class_id: int = 0) -> Found:
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    return xyxy, np.full(len(xyxy), score, np.float32), np.full(len(xyxy), class_id, np.int32)


def _box(x: float, y: float, width: float = 40, height: float = 80) -> Box:
    return x, y, x + width, y + height


def _ids(tracker: Tracker, frames: Iterable[Sequence[Box]], **kind: Any) -> list[list[int]]:
    return [tracker.update(*_found(*boxes, **kind)).track_id.tolist() for boxes in frames]


# Life


def test_the_first_frame_is_reported_at_once_and_later_births_wait() -> None:
    tracker = Tracker(confirm_hits=3)
    old, new = _box(0, 0), _box(300, 0)
    assert _ids(tracker, [[old], [old, new], [old, new], [old, new]]) == [[1], [1], [1], [1, 2]]


def test_a_flash_never_gets_an_id() -> None:
    tracker = Tracker()
    still = _box(0, 0)
    seen = _ids(tracker, [[still], [still, _box(300, 0)], [still], [still, _box(300, 0)], [still]])
    assert seen == [[1]] * 5
    assert tracker.update(*_found(still)).ended.tolist() == []


def test_a_lost_track_comes_back_under_its_id_within_lost_s_only() -> None:
    for silent_s, expected in ((0.9, [1]), (1.2, [])):
        tracker = Tracker(lost_s=1.0)
        for frame in range(10):
            tracker.update(*_found(_box(0, 0)), frame / 10)
        for frame in range(1, round(silent_s * 10)):
            tracker.update(*_found(), 0.9 + frame / 10)
        assert tracker.update(*_found(_box(0, 0)), 0.9 + silent_s).track_id.tolist() == expected


@pytest.mark.parametrize("fps", [2, 10, 30])
def test_lost_s_is_media_time_not_a_number_of_frames(fps: int) -> None:
    tracker = Tracker(lost_s=1.5)
    tracker.update(*_found(_box(0, 0)), 0.0)
    ends_s = [
        frame / fps
        for frame in range(1, 4 * fps)
        if len(tracker.update(*_found(), frame / fps).ended)
    ]
    assert len(ends_s) == 1
    assert 1.5 < ends_s[0] <= 1.5 + 1 / fps + 1e-6


def test_lost_tracks_end_even_if_time_stands_still_or_runs_back() -> None:
    for times in ([5.0] * 100, list(np.arange(100, 0, -1.0))):
        tracker = Tracker()
        tracker.update(*_found(_box(0, 0)), times[0])
        ended = [tracker.update(*_found(), time_s).ended.tolist() for time_s in times]
        assert [1] in ended


def test_reset_forgets_tracks_and_never_reuses_an_id() -> None:
    tracker = Tracker()
    tracker.update(*_found(_box(0, 0), _box(200, 0)), 0.0)
    tracker.reset()
    tracker.reset()
    after = tracker.update(*_found(_box(0, 0)), 0.0)
    assert after.track_id.tolist() == [3]
    assert after.ended.tolist() == [1, 2]
    assert tracker.update(*_found(_box(0, 0)), 0.1).ended.tolist() == []


# What is reported


def test_the_detection_is_reported_not_the_filter() -> None:
    tracker, rng = Tracker(), np.random.default_rng(0)
    for _ in range(20):
        boxes, score, class_id = _found(_box(0, 0), _box(200, 0))
        boxes += rng.normal(0, 2, boxes.shape).astype(np.float32)
        tracks = tracker.update(boxes, score, class_id)
        assert tracks.track_id.tolist() == [1, 2]
        np.testing.assert_array_equal(tracks.xyxy, boxes[tracks.detection_index])


def test_low_scores_continue_a_track_but_start_none() -> None:
    tracker = Tracker()
    tracker.update(*_found(_box(0, 0)))
    weak = _found(_box(2, 0), _box(300, 0), score=0.2)
    for _ in range(5):
        assert tracker.update(*weak).track_id.tolist() == [1]
    assert tracker.update(*_found(_box(2, 0), score=0.05)).track_id.tolist() == []


def test_a_low_score_must_overlap_well_and_may_wake_a_lost_track() -> None:
    aside = _found(_box(16, 0), score=0.3)  # IoU 3/7
    assert _first_then(Tracker(), aside) == []
    assert _first_then(Tracker(least_iou_low=0.4), aside) == [1]
    assert _first_then(Tracker(), _found(), _found(_box(0, 0), score=0.3)) == [1]
    assert _first_then(Tracker(), _found(), _found(_box(0, 0), score=0.6)) == [1]


def _first_then(tracker: Tracker, *frames: Found) -> list[int]:
    """Ids in the last frame, after one of a box at the origin."""
    tracker.update(*_found(_box(0, 0)))
    ids: list[int] = [tracker.update(*found).track_id.tolist() for found in frames][-1]
    return ids


@pytest.mark.parametrize(("fuse_score", "chosen"), [(True, 1), (False, 0)])
def test_a_sure_detection_wins_over_a_nearer_unsure_one(fuse_score: bool, chosen: int) -> None:
    tracker = Tracker(fuse_score=fuse_score)
    tracker.update(*_found(_box(0, 0)))
    boxes, score, class_id = _found(_box(1, 0), _box(-4, 0))
    score[0] = 0.55
    assert tracker.update(boxes, score, class_id).detection_index.tolist() == [chosen]


def test_a_velocity_is_not_trusted_over_a_long_silence() -> None:
    tracker = Tracker(lost_s=60)
    for frame in range(60):
        tracker.update(*_found(_box(frame, 0)), frame / 30)
    back = tracker.update(*_found(_box(59 + 2 * 30, 0)), 59 / 30 + 30)
    assert back.track_id.tolist() == [1]


def test_the_class_is_the_one_with_most_score() -> None:
    tracker = Tracker()
    votes = [(2, 0.9), (5, 0.6), (5, 0.6), (5, 0.6), (2, 0.5), (5, 0.8)]
    told = [
        tracker.update(*_found(_box(0, 0), score=score, class_id=class_id)).class_id.item()
        for class_id, score in votes
    ]
    assert told == [2, 2, 5, 5, 5, 5]


def test_a_second_box_of_a_tracked_object_starts_no_track() -> None:
    doubled = [_box(0, 0), _box(2, 1)]
    assert _ids(Tracker(), [doubled[:1], doubled, doubled, doubled]) == [[1]] * 4
    frames = [doubled[:1], doubled, doubled]
    assert _ids(Tracker(duplicate_iou=1.0), frames) == [[1], [1], [1, 2]]


def test_a_track_is_taken_up_where_it_was_last_seen() -> None:
    """It stood still behind a pillar; the filter went on without it."""
    tracker = Tracker(least_iou_wide=1.0)
    for frame in range(20):
        tracker.update(*_found(_box(6 * frame, 0)))
    for _ in range(15):
        tracker.update(*_found())
    assert tracker.update(*_found(_box(6 * 19, 0))).track_id.tolist() == [1]


def test_a_full_class_penalty_keeps_classes_apart() -> None:
    tracker = Tracker(class_penalty=1.0)
    tracker.update(*_found(_box(0, 0), class_id=2))
    tracker.update(*_found(_box(0, 0), class_id=3))
    tracks = tracker.update(*_found(_box(0, 0), class_id=3))
    assert tracks.track_id.tolist() == [2]
    assert tracks.class_id.tolist() == [3]


def test_empty_frames_are_fine_from_the_start() -> None:
    tracker = Tracker()
    for _ in range(3):
        assert len(tracker.update(*_found())) == 0
    assert _ids(tracker, [[_box(0, 0)], [_box(0, 0)]]) == [[], [1]]


# Scenes


def _scene(seed: int, frames: int = 120, objects: int = 8) -> Scene:
    """Objects that walk straight, in lanes, with noise, misses and false boxes; beside each
    frame the true object of every detection, -1 for a false one."""
    rng = np.random.default_rng(seed)
    start = np.stack([rng.uniform(0, 200, objects), np.arange(objects) * 90.0], axis=1)
    velocity = np.stack([rng.uniform(2, 6, objects), rng.uniform(-0.2, 0.2, objects)], axis=1)
    size = rng.uniform([30, 60], [50, 80], (objects, 2))
    scene = []
    for frame in range(frames):
        at = start + velocity * frame + rng.normal(0, 1, start.shape)
        seen = rng.uniform(size=objects) > 0.15
        false_at = rng.uniform(0, 900, (rng.poisson(0.5), 2))
        low = np.concatenate([at[seen], false_at])
        high = np.concatenate([(at + size)[seen], false_at + 30])
        truth = np.concatenate([np.flatnonzero(seen), np.full(len(false_at), -1)])
        score = np.where(truth >= 0, rng.uniform(0.5, 1, len(truth)), rng.uniform(0.1, 0.6))
        boxes = np.concatenate([low, high], axis=1).astype(np.float32)
        found = boxes, score.astype(np.float32), np.zeros(len(truth), np.int32)
        scene.append((found, truth))
    return scene


def _run(tracker: Tracker, scene: Scene) -> list[Tracks]:
    return [tracker.update(*found, k / 25) for k, (found, _) in enumerate(scene)]


def _switches(scene: Scene, results: list[Tracks]) -> int:
    """How often an object carries another id than the last time it was reported."""
    held: dict[int, int] = {}
    switches = 0
    for (_, truth), tracks in zip(scene, results, strict=True):
        objects = truth[tracks.detection_index].tolist()
        for thing, track_id in zip(objects, tracks.track_id.tolist(), strict=True):
            if thing >= 0:
                switches += held.get(thing, track_id) != track_id
                held[thing] = track_id
    return switches


@pytest.mark.parametrize("seed", range(5))
def test_ids_last_through_noise_misses_and_false_boxes(seed: int) -> None:
    scene = _scene(seed)
    results = _run(Tracker(), scene)
    reported = sum(
        int((truth[tracks.detection_index] >= 0).sum())
        for (_, truth), tracks in zip(scene, results, strict=True)
    )
    real = sum(int((truth >= 0).sum()) for _, truth in scene)
    assert _switches(scene, results) <= 1
    assert reported >= 0.97 * real


def test_crossing_paths_keep_their_ids() -> None:
    tracker = Tracker()
    seen = _ids(tracker, [[_box(5 * k, 100), _box(400 - 5 * k, 110)] for k in range(80)])
    assert seen == [[1, 2]] * 80
    left_to_right = tracker.update(*_found(_box(400, 100), _box(0, 110)))
    assert left_to_right.detection_index.tolist() == [0, 1]


def test_an_object_behind_a_pillar_keeps_its_id() -> None:
    walk = [[] if 30 <= k < 45 else [_box(4.0 * k, 100)] for k in range(70)]
    seen = _ids(Tracker(), walk)
    assert seen == [[1] if boxes else [] for boxes in walk]


@pytest.mark.parametrize("step", [20, 40])
def test_an_object_that_jumps_by_its_own_width_is_followed(step: float) -> None:
    assert _ids(Tracker(), [[_box(step * k, 0)] for k in range(12)]) == [[1]] * 12


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_the_order_of_detections_does_not_matter(seed: int) -> None:
    scene, rng = _scene(seed, frames=25), np.random.default_rng(seed)
    straight, shuffled = Tracker(), Tracker()
    for (boxes, score, class_id), _ in scene:
        order = rng.permutation(len(score))
        one = straight.update(boxes, score, class_id)
        other = shuffled.update(boxes[order], score[order], class_id[order])
        np.testing.assert_array_equal(one.track_id, other.track_id)
        np.testing.assert_array_equal(one.xyxy, other.xyxy)
        np.testing.assert_array_equal(one.detection_index, order[other.detection_index])
        np.testing.assert_array_equal(one.ended, other.ended)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.25, 0.5, 2.0, 4.0]))
@settings(max_examples=15)
def test_scaling_the_picture_scales_the_boxes(seed: int, scale: float) -> None:
    small, large = Tracker(), Tracker()
    for (boxes, score, class_id), _ in _scene(seed, frames=25):
        one = small.update(boxes, score, class_id)
        other = large.update(boxes * np.float32(scale), score, class_id)
        np.testing.assert_array_equal(one.track_id, other.track_id)
        np.testing.assert_array_equal(one.xyxy * np.float32(scale), other.xyxy)
        np.testing.assert_array_equal(one.ended, other.ended)


def test_two_trackers_share_nothing() -> None:
    first, second = _scene(1, frames=30), _scene(2, frames=30)
    alone = [_run(Tracker(), scene) for scene in (first, second)]
    one, other = Tracker(), Tracker()
    for k, (left, right) in enumerate(zip(first, second, strict=True)):
        for tracker, found, expected in (
            (one, left[0], alone[0][k]),
            (other, right[0], alone[1][k]),
        ):
            tracks = tracker.update(*found, k / 25)
            np.testing.assert_array_equal(tracks.track_id, expected.track_id)


@st.composite
def _wild_frames(draw: st.DrawFn) -> list[Found]:
    """Frames of arbitrary, mostly senseless boxes."""
    corner = st.one_of(st.integers(0, 60), st.sampled_from([NAN, INF, -INF, 1e30, -5.5]))
    box = st.tuples(corner, corner, corner, corner)
    one = st.tuples(box, st.sampled_from([0.05, 0.3, 0.6, 0.95]), st.integers(0, 2))
    frames = draw(st.lists(st.lists(one, max_size=6), min_size=1, max_size=15))
    return [
        (
            np.array([row[0] for row in rows], np.float32).reshape(-1, 4),
            np.array([row[1] for row in rows], np.float32),
            np.array([row[2] for row in rows], np.int32),
        )
        for rows in frames
    ]


@given(_wild_frames())
def test_laws_hold_on_any_input(frames: list[Found]) -> None:
    tracker = Tracker(lost_s=0.1)
    seen: set[int] = set()
    ended: list[int] = []
    for boxes, score, class_id in frames + [_found()] * 5:
        tracks = tracker.update(boxes, score, class_id)
        ids, rows = tracks.track_id.tolist(), tracks.detection_index.tolist()
        assert ids == sorted(set(ids))
        assert len(set(rows)) == len(rows)
        np.testing.assert_array_equal(tracks.xyxy, boxes[tracks.detection_index])
        ended += tracks.ended.tolist()
        assert not set(ids) & set(ended)
        seen |= set(ids)
    assert sorted(ended) == sorted(seen) == list(range(1, len(seen) + 1))


def test_memory_is_bounded_by_what_lives() -> None:
    tracker, rng = Tracker(lost_s=0.2), np.random.default_rng(0)
    for k in range(400):
        at = rng.uniform(0, 5000, 2)
        for _ in range(2):
            tracker.update(*_found(_box(*at)))
        assert len(tracker._table) <= 12, k
    assert tracker._table.motion.mean.shape[1] == len(tracker._table)
