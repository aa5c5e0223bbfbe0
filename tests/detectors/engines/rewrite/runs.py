"""Running a model in ONNX Runtime, with and without what it does to graphs."""

import onnx
import onnxruntime as ort

from pipeline.core.arrays import F32, AnyArray


def run(model: onnx.ModelProto, images: F32, *, optimized: bool) -> dict[str, AnyArray]:
    """All outputs by name."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimized else level.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: images}), strict=True))


def showing(model: onnx.ModelProto, tensors: list[str]) -> onnx.ModelProto:
    """The model with `tensors` among its outputs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in tensors)
    return copy
