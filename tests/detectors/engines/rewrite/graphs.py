"""Small QDQ graphs whose arithmetic is exact in float32: all scales are powers of two, so every
order of sums, and integers as well as floats, give the same bits."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from pipeline.core.arrays import F32, AnyArray

ACTIVATION = 2.0**-4
WEIGHT = 2.0**-5


class Writer:
    """Collects the nodes and constants of a signed graph."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, AnyArray] = {}

    def add(self, operator: str, inputs: Sequence[str], made: str, **attributes: Any) -> str:
        """A node; its output is its name."""
        self.nodes.append(helper.make_node(operator, list(inputs), [made], made, **attributes))
        return made

    def constant(self, name: str, value: AnyArray) -> str:
        """A constant; returns its name."""
        self.constants[name] = value
        return name

    def quantized(self, tensor: str, scale: float = ACTIVATION) -> str:
        """`tensor` through int8 and back."""
        how = [
            self.constant(f"{tensor}.scale", np.array(scale, np.float32)),
            self.constant(f"{tensor}.zero", np.array(0, np.int8)),
        ]
        self.add("QuantizeLinear", [tensor, *how], f"{tensor}.integers")
        return self.add("DequantizeLinear", [f"{tensor}.integers", *how], f"{tensor}.real")

    def kernel(self, name: str, shape: Sequence[int], axis: int) -> list[str]:
        """A random kernel in int8 with scales per `axis`, and a bias in int32, both made real."""
        count = shape[axis]
        scale = (WEIGHT * 2.0 ** self.rng.integers(-1, 2, count)).astype(np.float32)
        weight = self.rng.integers(-127, 128, shape).astype(np.int8)
        bias = self.rng.integers(-9999, 9999, count).astype(np.int32)
        made = []
        for part, value, step, along in (
            ("weight", weight, scale, axis), ("bias", bias, scale * np.float32(ACTIVATION), 0),
        ):  # fmt: skip
            parts = [
                self.constant(f"{name}.{part}", value),
                self.constant(f"{name}.{part}.scale", step),
                self.constant(f"{name}.{part}.zero", np.zeros(count, value.dtype)),
            ]
            made.append(self.add("DequantizeLinear", parts, f"{name}.{part}.real", axis=along))
        return made

    def model(self, shape: Sequence[int], outputs: Sequence[str]) -> onnx.ModelProto:
        """The model with an input `x` of `shape` behind a free batch."""
        graph = helper.make_graph(
            self.nodes,
            "small",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *shape])],
            [onnx.helper.make_empty_tensor_value_info(name) for name in outputs],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
        model = onnx.shape_inference.infer_shapes(model)
        onnx.checker.check_model(model)
        return model


def picture(seed: int, shape: Sequence[int]) -> F32:
    """Random values, some of them beyond what the input's grid holds."""
    return np.random.default_rng(seed).normal(0, 4, shape).astype(np.float32)
