"""A QDQ file in the form that ONNX Runtime runs fastest on CPUs, made at load, in memory."""

from __future__ import annotations

import onnx
from google.protobuf.message import DecodeError

from detectors.engines.rewrite.integer_input import integer_input
from detectors.engines.rewrite.sized import sized
from detectors.engines.rewrite.substitutes import substituted
from detectors.engines.rewrite.unsigned import unsigned

__all__ = ["rewritten"]


def rewritten(
    content: bytes, *, takes_integers: bool = False, size: tuple[int, int] | None = None
) -> bytes:
    """The content of an ONNX file with quantized tensors, for ONNX Runtime. With `takes_integers`,
    its input is as `integer_input` makes it, where that applies; with `size`, of that size, as
    `sized` makes it. Raises ValueError where it cannot be.

    Integers are equal bit by bit, floats but for the order of sums. What is no ONNX file, or has
    graphs within its graph, comes back as it is.
    """
    try:
        model = onnx.load_from_string(content)
    except DecodeError:
        return content
    if any(entry.HasField("g") or entry.graphs for node in model.graph.node
           for entry in node.attribute):  # fmt: skip
        return content
    if size is not None:
        model = sized(model, size)
    model = unsigned(model)
    if takes_integers:
        model = integer_input(model)
    return bytes(substituted(model).SerializeToString())
