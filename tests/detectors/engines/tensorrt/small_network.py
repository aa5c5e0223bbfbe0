"""A network of three convolutions, as FP32 and as the INT8 file that we would make of it."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from detectors.quantize.graph import Graph
from detectors.quantize.qdq import activations, quantize

SIDE = 16


def network(seed: int = 0) -> onnx.ModelProto:
    """images (batch, 3, 16, 16) -> boxes (batch, 256, 4) of up to about 640, scores of 0 to 1."""
    rng = np.random.default_rng(seed)
    kernels = {
        "k1": rng.normal(0, 0.3, (8, 3, 3, 3)),
        "b1": rng.normal(0, 0.1, 8),
        "k2": rng.normal(0, 0.2, (4, 8, 1, 1)),
        "b2": rng.normal(0, 0.1, 4),
        "k3": rng.normal(0, 0.2, (2, 8, 1, 1)),
        "b3": rng.normal(0, 0.1, 2),
        "px": np.array(640.0),
    }
    kernels["k1"][0] *= 1e-4  # a channel whose scale is below the normal numbers of float16
    constants = [numpy_helper.from_array(v.astype(np.float32), n) for n, v in kernels.items()]
    constants += [numpy_helper.from_array(np.array([0, c, -1]), f"s{c}") for c in (2, 4)]
    nodes = [
        helper.make_node("Conv", ["images", "k1", "b1"], ["c1"], "/stem/Conv", pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["r1"], "/stem/Relu"),
        helper.make_node("Conv", ["r1", "k2", "b2"], ["c2"], "/boxes/Conv"),
        helper.make_node("Conv", ["r1", "k3", "b3"], ["c3"], "/scores/Conv"),
        helper.make_node("Reshape", ["c2", "s4"], ["f2"], "/boxes/Reshape"),
        helper.make_node("Transpose", ["f2"], ["t2"], "/boxes/Transpose", perm=[0, 2, 1]),
        helper.make_node("Sigmoid", ["t2"], ["g2"], "/boxes/Sigmoid"),
        helper.make_node("Mul", ["g2", "px"], ["boxes"], "/boxes/Mul"),
        helper.make_node("Reshape", ["c3", "s2"], ["f3"], "/scores/Reshape"),
        helper.make_node("Transpose", ["f3"], ["t3"], "/scores/Transpose", perm=[0, 2, 1]),
        helper.make_node("Sigmoid", ["t3"], ["scores"], "/scores/Sigmoid"),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", SIDE * SIDE, last])
        for name, last in (("boxes", 4), ("scores", 2))
    ]
    graph = helper.make_graph(nodes, "small", [images], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"eyrie.precision": "fp32", "made": "here"})
    onnx.checker.check_model(model, full_check=True)
    return model


def quantized(skip: tuple[str, ...] = ()) -> onnx.ModelProto:
    """Its INT8 form, with ranges of 1 for the picture and 4 for all else."""
    graph = Graph(network())
    ranges = {name: 1.0 if name == "images" else 4.0 for name in activations(graph)}
    model = quantize(graph, ranges, skip=skip)
    helper.set_model_props(model, {"eyrie.precision": "int8", "made": "here"})
    return model


def saved(model: onnx.ModelProto, path: Path) -> Path:
    """The model as a file."""
    onnx.save(model, path)
    return path
