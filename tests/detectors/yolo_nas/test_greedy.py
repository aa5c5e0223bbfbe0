"""The network of one operator is what it is said to be, and keeps whom a plain loop keeps."""

import numpy as np
import onnx
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from detectors.yolo_nas.greedy import MODEL, greedy
from pipeline.core.arrays import F32
from pipeline.core.boxes import iou_matrix


def network() -> onnx.ModelProto:
    """The content of `greedy.onnx`."""
    inputs: dict[str, list[int | str | None]] = {
        "boxes": [1, None, 4], "scores": [1, None, None], "most": [1], "limit": [1], "least": [1],
    }  # fmt: skip
    node = helper.make_node("NonMaxSuppression", list(inputs), ["stay"])
    graph = helper.make_graph(
        [node],
        "greedy",
        [
            helper.make_tensor_value_info(
                name, TensorProto.INT64 if name == "most" else TensorProto.FLOAT, shape
            )
            for name, shape in inputs.items()
        ],
        [helper.make_tensor_value_info("stay", TensorProto.INT64, [None, 3])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)


def test_the_file_holds_that_operator_and_nothing_else() -> None:
    assert onnx.load(MODEL) == network()


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
