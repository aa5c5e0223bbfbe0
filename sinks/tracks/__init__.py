"""Sinks that add messages up: where tracks stay, and which way they go."""
