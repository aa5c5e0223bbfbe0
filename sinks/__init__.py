"""Sinks: messages and pictures out, to the world."""
