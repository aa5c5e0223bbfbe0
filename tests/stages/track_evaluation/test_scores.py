"""HOTA, CLEAR MOT and IDF1 of cases small enough to be computed by hand."""

from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.track_evaluation import BoxSequence, evaluate
from stages.track_evaluation.distractors import without_distractors

Row = tuple[int, int, float]
"""Frame, id, left edge of a box of 10 x 10 px."""


def boxes(*rows: Row) -> BoxSequence:
    ordered = sorted(rows)
    return BoxSequence(
        np.array([frame for frame, _, _ in ordered], np.int64),
        np.array([ident for _, ident, _ in ordered], np.int64),
        np.array([(x, 0.0, x + 10, 10.0) for _, _, x in ordered], np.float64).reshape(-1, 4),
    )


def still(ident: int, frames: range, x: float = 0.0) -> list[Row]:
    return [(frame, ident, x) for frame in frames]


def test_the_truth_itself_is_perfect() -> None:
    truth = boxes(*still(1, range(4)), *still(2, range(2, 6), 50))
    figures = evaluate(truth, truth).figures()
    for share in ("hota", "det_a", "ass_a", "loc_a", "mota", "idf1"):
        assert figures[share] == 1
    assert figures["true_boxes"] == 8
    assert figures["mostly_tracked"] == 2
    for count in ("id_switches", "false_positives", "false_negatives", "fragments", "mostly_lost"):
        assert figures[count] == 0


def test_an_id_that_changes_halfway() -> None:
    # 4 matches; each shares its ids with 2 of 4 boxes, so A(c) = 2 / (2 + 2 + 0) = 1/2.
    truth = boxes(*still(1, range(4)))
    found = boxes(*still(7, range(2)), *still(8, range(2, 4)))
    figures = evaluate(truth, found).figures()
    assert figures["det_a"] == 1
    assert figures["ass_a"] == pytest.approx(1 / 2)
    assert figures["hota"] == pytest.approx(np.sqrt(1 / 2), abs=1e-5)
    assert figures["id_switches"] == 1
    assert figures["mota"] == pytest.approx(3 / 4)
    assert figures["idf1"] == pytest.approx(2 * 2 / (2 * 2 + 2 + 2))


def test_misses_and_false_positives() -> None:
    # 3 of 4 found, 1 false one of another id: DetA = 3 / 5, A(c) = 3 / 4.
    truth = boxes(*still(1, range(4)))
    found = boxes(*still(1, range(3)), (3, 2, 90.0))
    figures = evaluate(truth, found).figures()
    assert figures["det_a"] == pytest.approx(3 / 5)
    assert figures["ass_a"] == pytest.approx(3 / 4)
    assert figures["hota"] == pytest.approx(np.sqrt(3 / 5 * 3 / 4), abs=1e-5)
    assert (figures["false_positives"], figures["false_negatives"]) == (1, 1)
    assert figures["mota"] == pytest.approx(1 - 2 / 4)
    assert figures["idf1"] == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))


def test_localisation_counts_by_threshold() -> None:
    # Shifted by 2 of 10 px: IoU 80 / 120 = 2/3, which 13 of the 19 thresholds accept.
    figures = evaluate(boxes(*still(1, range(5))), boxes(*still(1, range(5), 2))).figures()
    assert figures["hota"] == pytest.approx(13 / 19, abs=1e-5)
    assert figures["mota"] == figures["idf1"] == 1
    assert figures["loc_a"] == pytest.approx((13 * 2 / 3 + 6) / 19, abs=1e-5)


def test_below_half_an_overlap_is_a_miss_and_a_false_positive() -> None:
    figures = evaluate(boxes(*still(1, range(2))), boxes(*still(1, range(2), 5))).figures()
    assert (figures["false_positives"], figures["false_negatives"]) == (2, 2)
    assert figures["mota"] == -1
    assert figures["idf1"] == 0
    assert figures["hota"] == pytest.approx(6 / 19 * 1, abs=1e-5)  # IoU 1/3 passes 0.05 to 0.3


def test_clear_keeps_a_match_although_another_box_is_nearer() -> None:
    truth = boxes(*still(1, range(2)))
    found = boxes((0, 5, 1.0), (1, 5, 3.0), (1, 6, 0.0))
    assert evaluate(truth, found).clear.switches == 0
    assert evaluate(truth, boxes((0, 5, 1.0), (1, 5, 8.0), (1, 6, 0.0))).clear.switches == 1


def test_a_switch_is_found_after_a_gap_and_a_gap_is_a_fragment() -> None:
    truth = boxes(*still(1, range(6)))
    found = boxes(*still(4, range(2)), (2, 9, 90.0), (3, 9, 90.0), *still(5, range(4, 6)))
    clear = evaluate(truth, found).clear
    assert (clear.switches, clear.fragments) == (1, 1)


def test_nothing_found_and_nothing_there() -> None:
    some, none = boxes(*still(1, range(3))), boxes()
    missed = evaluate(some, none).figures()
    assert (missed["hota"], missed["false_negatives"], missed["mostly_lost"]) == (0, 3, 1)
    assert evaluate(none, some).figures()["false_positives"] == 3
    assert evaluate(none, none).figures()["hota"] == 0


def test_sequences_are_summed_not_averaged() -> None:
    short, long = boxes(*still(1, range(2))), boxes(*still(1, range(8)))
    together = evaluate(short, boxes()) + evaluate(long, long)
    assert together.clear.mota == pytest.approx(8 / 10)
    assert together.hota.det_a == pytest.approx(8 / 10)
    assert together.hota.ass_a == 1


def test_an_id_twice_in_a_frame_and_falling_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="id 3 is twice in frame 1"):
        boxes((0, 3, 0.0), (1, 3, 0.0), (1, 3, 5.0))
    with pytest.raises(ValueError, match="frames fall"):
        BoxSequence(np.array([1, 0]), np.array([1, 2]), np.zeros((2, 4)))


def test_boxes_on_distractors_are_dropped_but_only_one_each() -> None:
    truth = boxes((0, 1, 0.0), (0, 2, 50.0))
    found = boxes((0, 7, 1.0), (0, 8, 50.0), (0, 9, 51.0))
    left = without_distractors(truth, truth.track_id == 2, found)
    assert left.track_id.tolist() == [7, 9]


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    """A few boxes with ids, true and found."""
    row = st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 30).map(float))
    sides = [draw(st.lists(row, max_size=14)) for _ in range(2)]
    true, found = ([next(g) for _, g in groupby(sorted(s), lambda r: r[:2])] for s in sides)
    return true, found


@given(scenes(), st.permutations(range(4)))
def test_scores_stay_in_range_and_ids_are_only_names(
    scene: tuple[list[Row], list[Row]], names: list[int]
) -> None:
    true, found = boxes(*scene[0]), boxes(*scene[1])
    figures = evaluate(true, found).figures()
    for share in ("hota", "det_a", "ass_a", "idf1"):
        assert 0 <= figures[share] <= 1
    clear = evaluate(true, found).clear
    assert clear.true_positives + clear.false_negatives == len(true)
    assert clear.true_positives + clear.false_positives == len(found)
    renamed = boxes(*((frame, 10 + names[ident], x) for frame, ident, x in scene[1]))
    assert evaluate(true, renamed).identity == evaluate(true, found).identity
