"""How the benchmark of INT8 accuracy counts the agreement of two engines."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

from benchmarks.int8_accuracy import agreement, meets
from detectors.evaluation import Found

BOX = (10.0, 10.0, 110.0, 60.0)


def found(*rows: tuple[tuple[float, ...], float, int]) -> Found:
    boxes, scores, classes = zip(*rows, strict=True) if rows else ((), (), ())
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    return Found(xyxy, np.array(scores, np.float32), np.array(classes, np.int64))


def shifted(pixels: float) -> tuple[float, ...]:
    return (BOX[0] + pixels, BOX[1], BOX[2] + pixels, BOX[3])


@pytest.mark.parametrize(
    ("other", "matched"),
    [
        (found((BOX, 0.9, 0)), 2),
        (found((shifted(2), 0.9, 0)), 2),  # an IoU of 98 / 102
        (found((shifted(3), 0.9, 0)), 0),  # of 97 / 103
        (found((BOX, 0.9, 1)), 0),
        (found(), 0),
    ],
)
def test_a_match_is_the_same_class_in_nearly_the_same_place(other: Found, matched: int) -> None:
    both = agreement([found((BOX, 0.9, 0))], [other])
    assert both["matched"] == matched
    assert both["detections"] == 1 + len(other.score)


def test_weak_detections_need_no_match_but_can_be_one() -> None:
    both = agreement([found((BOX, 0.26, 0), (shifted(50), 0.2, 0))], [found((BOX, 0.24, 0))])
    assert (both["detections"], both["matched"]) == (1, 1)
    assert both["largest_score_gap_of_matched"] == pytest.approx(0.02)


def test_bars_are_held_on_every_engine() -> None:
    good = {"drop_points": 0.4}
    row = {"onnxruntime": good, "openvino": good, "agreement": {"share": 0.995}}
    assert meets(row)
    assert meets(row | {"agreement": None})
    assert not meets(row | {"openvino": {"drop_points": 0.6}})
    assert not meets(row | {"agreement": {"share": 0.98}})
