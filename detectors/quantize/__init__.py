"""Quantization of ONNX graphs to 8 bits: after training, with layers left in float, in training.

`graph`, `placement`, `qdq`, `clipping`, `histogram` and `calibrate` know no model family. Needs
onnx; training with fake quantization needs torch too.
"""
