"""Pixels in, detections out. An engine runs tensors; a detector knows what they mean."""
