"""Average precision on cases that can be counted by hand."""

import numpy as np
import pytest

from detectors.evaluation import Found, Truth, evaluate


def truth(boxes: list[list[float]], classes: list[int], labelled: tuple[int, ...]) -> Truth:
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    return Truth(xyxy, np.array(classes, np.int64), labelled)


def found(boxes: list[list[float]], scores: list[float], classes: list[int]) -> Found:
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    return Found(xyxy, np.array(scores, np.float32), np.array(classes, np.int64))


BOX = [10.0, 10.0, 50.0, 50.0]
FAR = [100.0, 100.0, 140.0, 140.0]


def test_perfect_boxes_score_one_at_every_threshold() -> None:
    truths = [truth([BOX, FAR], [0, 1], (0, 1))]
    metrics = evaluate([found([BOX, FAR], [0.9, 0.8], [0, 1])], truths, 2)
    assert metrics.map50 == metrics.map50_95 == pytest.approx(1.0)


def test_a_mistake_above_the_right_box_halves_precision() -> None:
    truths = [truth([BOX], [0], (0,))]
    metrics = evaluate([found([FAR, BOX], [0.9, 0.8], [0, 0])], truths, 1)
    assert metrics.map50 == pytest.approx(0.5)


def test_a_duplicate_below_the_right_box_costs_nothing() -> None:
    truths = [truth([BOX], [0], (0,))]
    metrics = evaluate([found([BOX, BOX], [0.9, 0.8], [0, 0])], truths, 1)
    assert metrics.map50 == pytest.approx(1.0)


def test_half_of_the_boxes_found_gives_half_of_the_recall_points() -> None:
    truths = [truth([BOX, FAR], [0, 0], (0,))]
    metrics = evaluate([found([BOX], [0.9], [0])], truths, 1)
    assert metrics.map50 == pytest.approx(51 / 101)


def test_a_loose_box_counts_up_to_its_overlap() -> None:
    truths = [truth([[0, 0, 10, 10]], [0], (0,))]
    metrics = evaluate([found([[0, 0, 10, 7.2]], [0.9], [0])], truths, 1)
    assert metrics.ap50[0] == pytest.approx(1.0)
    assert metrics.ap50_95[0] == pytest.approx(0.5)  # 0.50, 0.55, 0.60, 0.65, 0.70


def test_a_class_is_judged_only_on_pictures_that_label_it() -> None:
    truths = [truth([BOX], [0], (0,)), truth([], [], (1,))]
    seen = [found([BOX], [0.5], [0]), found([FAR], [0.9], [0])]
    metrics = evaluate(seen, truths, 2)
    assert metrics.ap50[0] == pytest.approx(1.0)


def test_a_class_without_any_box_has_no_precision() -> None:
    truths = [truth([BOX], [0], (0, 1))]
    metrics = evaluate([found([BOX], [0.9], [0])], truths, 2)
    assert np.isnan(metrics.ap50[1])
    assert metrics.map50 == pytest.approx(1.0)


def test_nothing_found_is_zero() -> None:
    metrics = evaluate([found([], [], [])], [truth([BOX], [0], (0,))], 1)
    assert metrics.map50 == 0.0


def test_what_lies_in_a_crowd_is_no_mistake() -> None:
    crowd = np.array([False, True])
    boxes = np.array([BOX, [90, 90, 200, 200]], np.float32)
    truths = [Truth(boxes, np.array([0, 0]), (0,), crowd=crowd)]
    seen = [found([FAR, [100, 100, 110, 110], BOX], [0.9, 0.8, 0.7], [0, 0, 0])]
    assert evaluate(seen, truths, 1).map50 == pytest.approx(1.0)
