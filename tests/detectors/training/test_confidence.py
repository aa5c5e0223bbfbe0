"""Which detections become labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.training.confidence import Found, Policy, agreed
from pipeline.core.boxes import iou_matrix
from pipeline.core.errors import ConfigError

CLASSES = 4
SIZE = (120, 160)
ALL = np.ones(CLASSES, np.bool_)


def found_of(*rows: tuple[int, float, float, float, float, float]) -> Found:
    """Rows of class, score, x1, y1, x2, y2."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Found(table[:, 2:], table[:, 1], table[:, 0].astype(np.int64))


@st.composite
def detections(draw: st.DrawFn) -> Found:
    """Some boxes in and around the picture."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(0, 12))
    low = rng.uniform(-20, 150, (count, 2))
    xyxy = np.concatenate([low, low + rng.uniform(-2, 60, (count, 2))], 1).astype(np.float32)
    score = rng.uniform(0, 1, count).astype(np.float32)
    return Found(xyxy, score, rng.integers(0, CLASSES, count))


@given(detections(), st.floats(0.01, 1), st.floats(0.01, 1), st.floats(0, 30))
def test_what_a_policy_promises(found: Found, one: float, other: float, side_px: float) -> None:
    policy = Policy(max(one, other), min(one, other), side_px)
    wanted = np.array([True, True, False, True])
    label = policy.decide(found, SIZE, wanted)
    assert (label.score >= policy.accept).all()
    assert wanted[label.class_id].all()
    assert wanted[list(label.labelled)].all()
    sides = label.xyxy[:, 2:] - label.xyxy[:, :2]
    assert (sides > 0).all()
    assert (sides >= side_px).all()
    assert (label.xyxy >= 0).all()
    assert (label.xyxy <= [SIZE[1], SIZE[0]] * 2).all()
    overlaps = np.triu(iou_matrix(label.xyxy, label.xyxy), 1)
    assert (overlaps <= policy.same_iou).all()


@given(detections(), st.floats(0.05, 0.5), st.floats(0.05, 0.5))
def test_discarding_less_labels_fewer_classes_and_the_same_boxes(
    found: Found, one: float, other: float
) -> None:
    strict, lax = (
        Policy(0.6, d).decide(found, SIZE, ALL) for d in sorted((one, other), reverse=True)
    )
    assert set(lax.labelled) <= set(strict.labelled)
    assert np.array_equal(lax.xyxy, strict.xyxy)


@given(detections(), st.floats(0.3, 1), st.floats(0.3, 1))
def test_accepting_less_gives_no_more_boxes(found: Found, one: float, other: float) -> None:
    few, many = (Policy(a, 0.3).decide(found, SIZE, ALL) for a in sorted((one, other))[::-1])
    assert len(few.score) <= len(many.score)


def test_doubt_leaves_a_class_out_but_keeps_its_sure_boxes() -> None:
    found = found_of((1, 0.9, 0, 0, 30, 30), (1, 0.4, 60, 60, 90, 90), (2, 0.1, 0, 60, 9, 90))
    label = Policy(0.6, 0.3).decide(found, SIZE, ALL)
    assert label.xyxy.tolist() == [[0, 0, 30, 30]]
    assert label.labelled == (0, 2, 3)


def test_a_worse_view_of_an_accepted_object_is_no_doubt() -> None:
    found = found_of((3, 0.5, 1, 1, 41, 41), (1, 0.8, 0, 0, 40, 40))
    label = Policy(0.6, 0.3).decide(found, SIZE, ALL)
    assert label.class_id.tolist() == [1]
    assert label.labelled == (0, 1, 2, 3)


def test_two_doubtful_classes_of_one_object_are_both_in_doubt() -> None:
    found = found_of((3, 0.5, 0, 0, 40, 40), (1, 0.4, 0, 0, 40, 40))
    assert Policy(0.6, 0.3).decide(found, SIZE, ALL).labelled == (0, 2)


def test_small_boxes_are_doubtful() -> None:
    found = found_of((0, 0.9, 0, 0, 40, 7))
    label = Policy(0.6, 0.3, min_side_px=8).decide(found, SIZE, ALL)
    assert len(label.xyxy) == 0
    assert label.labelled == (1, 2, 3)


@pytest.mark.parametrize(("accept", "discard"), [(0.3, 0.6), (0.5, 0.0), (1.5, 0.3)])
def test_thresholds_in_the_wrong_order(accept: float, discard: float) -> None:
    with pytest.raises(ConfigError, match="0 < discard <= accept <= 1"):
        Policy(accept, discard)


def test_two_looks_that_agree_have_their_mean_score() -> None:
    one = found_of((0, 0.9, 0, 0, 40, 40), (1, 0.9, 80, 0, 120, 40))
    other = found_of((0, 0.7, 2, 0, 42, 40), (2, 0.8, 80, 0, 120, 40))
    both = agreed(one, other, 0.3)
    assert both.class_id.tolist() == [0, 1, 2]
    assert both.score.tolist() == pytest.approx([0.8, 0.3, 0.3])


@given(detections(), detections(), st.floats(0.1, 0.5))
def test_agreement_is_of_both_looks_and_makes_nothing_surer(
    one: Found, other: Found, doubt: float
) -> None:
    both, turned = agreed(one, other, doubt), agreed(other, one, doubt)
    assert sorted(both.score.tolist()) == pytest.approx(sorted(turned.score.tolist()))
    assert len(both.score) >= max(len(one.score), len(other.score))
    most = max([doubt, *one.score.tolist(), *other.score.tolist()])
    assert (both.score <= np.float32(most)).all()


@given(detections())
def test_looking_at_the_same_twice_changes_nothing(found: Found) -> None:
    sides = found.xyxy[:, 2:] - found.xyxy[:, :2]
    kept = (sides > 0).all(1)
    one = Found(found.xyxy[kept], found.score[kept], found.class_id[kept])
    twice = agreed(one, one, 0.3)
    assert twice.score.tolist() == pytest.approx(one.score.tolist())
