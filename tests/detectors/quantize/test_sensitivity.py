"""The proxy: zero for equal outputs, larger for worse ones, blind to what is not detected."""

import numpy as np
import pytest

from detectors.quantize.sensitivity import Probe, output_error
from pipeline.core.arrays import F32

Outputs = tuple[F32, F32]


@pytest.fixture
def outputs() -> Outputs:
    """Two anchors with an object each, 98 with next to none."""
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 80, (1, 100, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 20, (1, 100, 2))], axis=-1)
    scores = np.full((1, 100, 3), 1e-5)
    scores[0, :2, 0] = 0.9, 0.6
    return boxes.astype(np.float32), scores.astype(np.float32)


def test_equal_outputs_have_no_error(outputs: Outputs) -> None:
    assert output_error(*outputs, *outputs) == 0


def test_by_hand(outputs: Outputs) -> None:
    boxes, scores = (array.copy() for array in outputs)
    scores[0, 1, 2] += 0.3
    boxes[0, 0] += 1000  # overlaps nothing: IoU 0
    weights = 0.9 + 0.6 + 98e-5
    assert output_error(*outputs, boxes, scores) == pytest.approx((0.09 + 0.9) / weights, rel=1e-4)


def test_it_grows_with_the_square_of_the_distance(outputs: Outputs) -> None:
    boxes, scores = outputs
    errors = [output_error(boxes, scores, boxes, scores + np.float32(d)) for d in (0.01, 0.02)]
    assert errors[1] == pytest.approx(4 * errors[0], rel=1e-4)


def test_boxes_without_an_object_do_not_matter(outputs: Outputs) -> None:
    boxes, scores = (array.copy() for array in outputs)
    boxes[:, 2:] += 50
    without = output_error(*outputs, boxes, scores)
    boxes, scores = outputs[0].copy(), outputs[1]
    boxes[:, :2] += 5
    assert without < 0.01 * output_error(*outputs, boxes, scores)


def test_empty_scores_are_no_division_by_zero(outputs: Outputs) -> None:
    boxes, scores = outputs
    nothing = np.zeros_like(scores)
    assert output_error(boxes, nothing, boxes, nothing) == 0


def test_a_probe_weighs_pictures_by_what_is_in_them(outputs: Outputs) -> None:
    boxes, scores = outputs
    empty = np.full_like(scores, 1e-6)
    by_level = {0.0: (boxes, scores), 1.0: (boxes, empty)}

    def float_network(image: F32) -> Outputs:
        return by_level[float(image.max())]

    def other(image: F32) -> Outputs:
        boxes, scores = float_network(image)
        return boxes, scores + np.float32(0.01)

    images = [np.full((1, 3, 8, 8), level, np.float32) for level in by_level]
    probe = Probe(float_network, images)
    assert probe.error(float_network) == 0
    both = np.concatenate([boxes, boxes])
    together = np.concatenate([scores, empty])
    expected = output_error(both, together, both, together + np.float32(0.01))
    assert probe.error(other) == pytest.approx(expected, rel=1e-4)
