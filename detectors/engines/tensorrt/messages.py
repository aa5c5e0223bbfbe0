"""TensorRT's log lines in our log, its last errors for our exceptions, its progress to a watcher.

Its callbacks are classes to derive from, which exist only once `tensorrt` is imported: hence the
functions here that make classes.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Any, Protocol

from pipeline.core.log import get_logger, one_line

log = get_logger(__name__)
_LEVELS = {
    "INTERNAL_ERROR": logging.ERROR,
    "ERROR": logging.ERROR,
    "WARNING": logging.WARNING,
    "INFO": logging.DEBUG,  # TensorRT says much that only its makers need
    "VERBOSE": logging.NOTSET,
}
_KEPT = 3


class Complaints:
    """The last errors that TensorRT logged; written by its threads, read by ours."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_KEPT)
        self._guard = threading.Lock()

    def add(self, line: str) -> None:
        """Keep one line, and forget the oldest."""
        with self._guard:
            self._lines.append(line)

    def why(self, otherwise: str) -> str:
        """All of them in one line, and forget them; `otherwise` when there are none."""
        with self._guard:
            said = "; ".join(self._lines)
            self._lines.clear()
        return said or otherwise


def make_logger(trt: Any, complaints: Complaints) -> Any:
    """A `tensorrt.ILogger` that writes to the log of this package; must outlive what it is given
    to."""

    class Bridge(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            level = _LEVELS.get(severity.name, logging.WARNING)
            if level >= logging.ERROR:
                complaints.add(one_line(msg))
            if level > logging.NOTSET:
                log.log(level, "TensorRT: %s", one_line(msg))

    return Bridge()


class BuildWatcher(Protocol):
    """Told of a build's progress, by several threads at once."""

    def phase_started(self, name: str, parent: str | None, steps: int) -> None:
        """A phase of `steps` steps began within `parent`, or at the top."""

    def step_done(self, name: str, step: int) -> bool:
        """Step `step`, from 0, of a phase is over; False ends the build."""

    def phase_finished(self, name: str) -> None:
        """A phase is over, perhaps before its last step."""


def make_monitor(trt: Any, watcher: BuildWatcher, stopped: threading.Event) -> Any:
    """A `tensorrt.IProgressMonitor` that tells `watcher`, and sets `stopped` when that ends the
    build; must outlive the build."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            watcher.phase_started(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            going = watcher.step_done(phase_name, step)
            if not going:
                stopped.set()
            return going

        def phase_finish(self, phase_name: str) -> None:
            watcher.phase_finished(phase_name)

    return Monitor()
