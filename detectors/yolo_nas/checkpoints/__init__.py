"""Checkpoints of this and other makers: read without running what is in them, and fetched."""
