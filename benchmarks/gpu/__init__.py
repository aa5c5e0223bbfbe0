"""TensorRT on a GPU: builds, checks against ONNX Runtime, times INT8 against FP16."""
