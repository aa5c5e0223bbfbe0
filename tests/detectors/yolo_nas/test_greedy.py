"""The operator keeps whom a plain loop keeps."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.yolo_nas.greedy import greedy
from pipeline.core.arrays import F32
from pipeline.core.boxes import iou_matrix


def boxes(seed: int, count: int) -> F32:
    """In heaps, some empty, some inside out."""
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 3, (count, 2)) * 20 + rng.normal(0, 3, (count, 2))
    return np.hstack([corner, corner + rng.uniform(-2, 30, (count, 2))]).astype(np.float32)


@given(
    st.integers(0, 10_000), st.integers(0, 60), st.sampled_from([0.0, 0.004, 0.5, 0.9, 1.0]),
    st.sampled_from([None, 1, 4]),
)  # fmt: skip
def test_keeps_whom_a_plain_loop_keeps(
    seed: int, count: int, limit: float, classes: int | None
) -> None:
    xyxy = boxes(seed, count)
    groups = None if classes is None else np.random.default_rng(seed).integers(0, classes, count)
    rivals = iou_matrix(xyxy, xyxy) > np.float32(limit)
    if groups is not None:
        rivals &= groups[:, None] == groups
    wanted: list[int] = []
    for place in range(count):
        if not rivals[place, wanted].any():
            wanted.append(place)
    assert greedy(xyxy, groups, limit).tolist() == wanted
