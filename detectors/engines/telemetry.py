"""Keeps a runtime from reporting its use to its makers over the network."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

OPENVINO = "openvino_telemetry"


@contextmanager
def without_telemetry(package: str = OPENVINO) -> Iterator[None]:
    """Within it the reporting package cannot be imported; OpenVINO then takes a stand-in of its
    own that does nothing. Whoever has imported the package before keeps it."""
    loaded = sys.modules.get(package)
    if loaded is None:
        sys.modules[package] = None  # type: ignore[assignment]  # Python takes it: no import
    try:
        yield
    finally:
        if loaded is None:
            del sys.modules[package]
