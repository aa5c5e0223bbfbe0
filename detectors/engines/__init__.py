"""Runtimes: tensors in, tensors out. They know no model family."""
