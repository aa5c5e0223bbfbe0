"""Near pairs are those that a look at all pairs finds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.yolo_nas.pairs import Columns, near
from pipeline.core.arrays import F32
from pipeline.core.boxes import iou_matrix


def boxes(rng: np.random.Generator, count: int) -> F32:
    corners = rng.uniform(0, 60, (count, 2))
    return np.hstack([corners, corners + rng.uniform(0, 20, (count, 2))]).astype(np.float32)


@given(
    st.integers(0, 10_000), st.integers(0, 25), st.integers(0, 25), st.sampled_from([0.1, 0.5, 3.0])
)
def test_all_that_are_near_are_found_once_by_rising_row(
    seed: int, ours: int, others: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    here, there = Columns.of(boxes(rng, ours)), Columns.of(boxes(rng, others))
    row, column = near(here, share, there)
    assert (np.diff(row) >= 0).all()
    found = set(zip(row.tolist(), column.tolist(), strict=True))
    assert len(found) == len(row)
    shape = np.broadcast_shapes((ours, 1), (1, others))
    inside, about = np.ones(shape, np.bool_), np.ones(shape, np.bool_)
    for axis in (0, 1):
        apart = np.abs(here.middle(axis)[:, None] - there.middle(axis)) / 2
        inside &= apart <= share * here.length(axis)[:, None]
        about &= apart <= 1.01 * share * here.length(axis)[:, None] + 0.01
    assert set(zip(*np.nonzero(inside), strict=True)) <= found
    assert found <= set(zip(*np.nonzero(about), strict=True))


def test_iou_of_pairs_is_that_of_the_matrix() -> None:
    rng = np.random.default_rng(0)
    xyxy = boxes(rng, 40)
    xyxy[0, 2:] = xyxy[0, :2]
    row, column = np.divmod(np.arange(1600), 40)
    all_boxes = Columns.of(xyxy)
    found = all_boxes.take(row).iou(all_boxes.take(column))
    np.testing.assert_allclose(found.reshape(40, 40), iou_matrix(xyxy, xyxy), atol=1e-6)
