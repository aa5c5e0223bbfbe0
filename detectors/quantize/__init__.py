"""Post-training quantization of ONNX graphs to 8 bits. Needs onnx; knows no model family."""
