"""Fewer pictures a second than the stream announces."""

from typing import Final

from stages.health.finding import Finding
from stages.health.window import WINDOW_S, Window

SANE_FPS: Final = (1.0, 120.0)
"""The range of announced rates; outside of it, one is a clock rate or a guess."""


class Rate:
    """Measures decoded pictures a second of media time against `expected_fps`, or else against what
    the stream announces. Bad: less than `least_share` of it."""

    def __init__(self, expected_fps: float | None, least_share: float) -> None:
        self._expected_fps, self._least_share = expected_fps, least_share
        self._window = Window()

    def judge(self, time_s: float, decoded: int, declared_fps: float | None) -> Finding:
        """Judge the pictures up to now; `decoded` counts those of the connection."""
        seconds, (pictures,) = self._window.grown(time_s, decoded)
        expected = self._expected_fps
        if expected is None and declared_fps is not None:
            expected = declared_fps if SANE_FPS[0] <= declared_fps <= SANE_FPS[1] else None
        if expected is None or seconds < WINDOW_S / 2:
            return Finding(False, "the frame rate is not known")
        fps = pictures / seconds
        why = f"{fps:.1f} pictures a second, not {expected:.4g}"
        metrics = {"fps": round(fps, 2), "expected_fps": round(expected, 3)}
        return Finding(fps < self._least_share * expected, why, metrics)

    def reset(self) -> None:
        """A new connection begins."""
        self._window.reset()
