"""The short form of `python -m benchmarks.tracking_quality`: guards against regression."""

import numpy as np
import pytest

from benchmarks.tracking_quality.families import FAMILIES, Take, record
from benchmarks.tracking_quality.measure import follow, measure, score
from benchmarks.tracking_quality.noise import POOR, YOLO_NAS_LIKE, YOLOX_LIKE, DetectorNoise
from pipeline.core.boxes import iou_matrix

NAMES = [family.name for family in FAMILIES]
FLOORS = {
    "crowd": 0.85, "moving camera": 0.84, "every third": 0.83, "dance": 0.67, "drive car": 0.66,
    "drive person": 0.41, "poor": 0.41,
}  # fmt: skip
"""HOTA on the first three seconds of every take, four points below what it was at first."""


def test_every_family_stays_above_its_floor() -> None:
    rows = {row.name: row.figures() for row in measure({}, workers=0, seconds=3)}
    assert set(rows) == {*NAMES, "drive car", "drive person"} - {"drive"}
    hota = {name: row["hota"] for name, row in rows.items()}
    too_low = {name: found for name, found in hota.items() if found < FLOORS[name]}
    assert not too_low


def test_an_unknown_family_is_said() -> None:
    with pytest.raises(ValueError, match=r"no family moon; there are crowd, "):
        measure({}, only=["moon"], workers=0)


def test_parameters_matter() -> None:
    usual = measure({}, only=["dance"], workers=0, seconds=2)
    blind = measure({"birth_score": 1.0, "high_score": 1.0}, ["dance"], workers=0, seconds=2)
    assert blind[0].figures()["hota"] < usual[0].figures()["hota"]


def test_a_recording_is_the_same_again_and_true_boxes_are_tracked_well() -> None:
    take = Take("square", "static", NO_NOISE, 7, 30.0, 3.0)
    first, second = record(take), record(take)
    for a, b in zip(first.found, second.found, strict=True):
        np.testing.assert_array_equal(a.xyxy, b.xyxy)
        np.testing.assert_array_equal(a.score, b.score)
    figures = score(FAMILIES[0], first, follow({}, first))[0].figures()
    assert figures["hota"] > 0.9
    assert figures["det_a"] > 0.95


NO_NOISE = DetectorNoise(
    hidden_weight=0, size_weight=0, drift=0, flicker=0, jitter=0, false_per_frame=0, spots=0,
    part_share=0, nms_iou=1.0,
)  # fmt: skip


@pytest.mark.parametrize("noise", [YOLOX_LIKE, YOLO_NAS_LIKE, POOR])
def test_mistakes_are_where_detectors_make_them(noise: DetectorNoise) -> None:
    recording = record(Take("footway", "static", noise, 8, 15.0, 12.0))
    seen, scored, false = list[float](), list[float](), 0
    for truth, found in zip(recording.truths, recording.found, strict=True):
        overlap = iou_matrix(truth.xyxy, found.xyxy.astype(np.float64))
        best = np.where(overlap > 0.5, found.score, 0).max(axis=1, initial=0)
        seen += truth.visibility.tolist()
        scored += best.tolist()
        false += int(np.count_nonzero(overlap.max(axis=0, initial=0) < 0.3))
    visible, score_of = np.array(seen), np.array(scored)
    clear, hidden = score_of[visible > 0.9], score_of[visible < 0.2]
    assert np.median(clear) > np.median(hidden) + 0.3
    assert np.mean(hidden < 0.3) > 0.5
    assert np.mean(clear < 0.3) < 0.3
    assert false > 20


def test_a_poor_detector_is_worse_and_a_confident_one_surer() -> None:
    scores = {}
    for name, noise in (("x", YOLOX_LIKE), ("nas", YOLO_NAS_LIKE), ("poor", POOR)):
        found = record(Take("square", "static", noise, 8, 15.0, 6.0)).found
        scores[name] = np.concatenate([some.score for some in found])
    assert np.mean(scores["x"] > 0.8) > np.mean(scores["nas"] > 0.8) + 0.1
    assert np.mean(scores["nas"] > 0.5) > np.mean(scores["poor"] > 0.5) + 0.1


def test_errors_of_boxes_last_for_some_frames() -> None:
    noise = DetectorNoise(hidden_weight=0, false_per_frame=0, spots=0, part_share=0, jitter=0.03)
    recording = record(Take("terrace", "static", noise, 9, 30.0, 4.0))
    errors: dict[int, list[float]] = {}
    for truth, found in zip(recording.truths, recording.found, strict=True):
        overlap = iou_matrix(truth.xyxy, found.xyxy.astype(np.float64))
        for row, column in enumerate(overlap.argmax(axis=1).tolist()):
            if overlap[row, column] > 0.6:
                error = float(found.xyxy[column, 0] - truth.xyxy[row, 0])
                errors.setdefault(int(truth.track_id[row]), []).append(error)
    pairs = [np.corrcoef(e[:-1], e[1:])[0, 1] for e in errors.values() if len(e) > 60]
    assert len(pairs) > 10
    assert 0.25 < np.mean(pairs) < 0.8
