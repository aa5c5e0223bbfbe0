"""Tracking quality on synthetic scenes with a noisy detector."""
