"""Preparation, colour and suppression as torch operations on a GPU, and the detector on them."""
