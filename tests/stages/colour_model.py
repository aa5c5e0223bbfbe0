"""A model of appearance that is made on the fly: it embeds the mean colour of a crop."""

from pathlib import Path

import onnx
from onnx import helper

FLOAT = onnx.TensorProto.FLOAT
Shape = tuple[int | str, ...]

PLANAR: Shape = ("n", 3, 32, 16)
CHANNELS_LAST: Shape = ("n", 32, 16, 3)


def colour_model(
    path: Path, shape: Shape = PLANAR, *, operator: str = "ReduceMean", kind: int = FLOAT
) -> Path:
    """(N, 3, H, W) or (N, H, W, 3) -> (N, 3); with the operator `Identity` the input itself."""
    axes = [2, 3] if shape[1] == 3 else [1, 2]
    if operator == "ReduceMean":
        node = helper.make_node(operator, ["picture"], ["vector"], axes=axes, keepdims=0)
    else:
        node = helper.make_node(operator, ["picture"], ["vector"])
    rank = 2 if operator == "ReduceMean" else len(shape)
    graph = helper.make_graph(
        [node],
        "colour",
        [helper.make_tensor_value_info("picture", kind, list(shape))],
        [helper.make_tensor_value_info("vector", kind, [None] * rank)],
    )
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path
