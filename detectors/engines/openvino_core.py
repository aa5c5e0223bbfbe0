"""The one OpenVINO core of this process."""

from functools import cache

from detectors.engines.telemetry import without_telemetry

with without_telemetry():
    import openvino as ov


@cache
def core() -> ov.Core:
    """The core that compiles all engines. It lives as long as the process.

    Each core with a CPU plugin replaces the thread's alternate signal stack and frees its own when
    it goes (OpenVINO 2026.4). Two that do not go in the order last made, first gone leave the
    thread with a stack that is freed: then the next signal, such as Ctrl-C, ends the process.
    """
    return ov.Core()
