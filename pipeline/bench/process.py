"""The process of a case, measured from outside.

It is told its job as the last argument, and speaks in lines on standard output that begin with
`eyrie-bench`; all others are passed over:

    process                                   harness
    ready                     ──►             start-up is over: everything is loaded
                              ◄──  go         once for each round
    begin                     ──►             clocks are read
    done {"frames": 300, …}   ──►             clocks and memory are read
                              ◄──  (end)      standard input is closed: leave

While others have their turn, it is stopped by SIGSTOP, so that no thread of it takes part.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline.bench.job import Case
from pipeline.core.errors import EyrieError
from pipeline.core.log import one_line

MARK = "eyrie-bench"
_LEAVE_WITHIN_S = 5.0
_MEMORY_EVERY_S = 0.25
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_SCHEDULER_CLOCK = 2  # CPUCLOCK_SCHED of linux/posix-timers.h: nanoseconds of a whole process


class CaseFailed(EyrieError):
    """The process of a case ended, was silent for too long, or said what went wrong."""

    def __init__(self, case: str, why: str) -> None:
        super().__init__(f"benchmark {case}: {why}")
        self.case, self.why = case, one_line(why)


@dataclass(frozen=True, slots=True)
class Turn:
    """One round of one case."""

    frames: int
    wall_s: float
    cpu_s: float
    """User and system time of the process and its children."""
    rss_mb: float
    """Largest resident set since the process began, in MB of 10^6 bytes; with children, their own
    pages too."""
    told: dict[str, Any] = field(default_factory=dict)
    """What else the process said, such as `detections`."""

    @property
    def fps(self) -> float:
        """Frames a second of wall time."""
        return self.frames / self.wall_s

    @property
    def cpu_ms_per_frame(self) -> float:
        return 1000 * self.cpu_s / self.frames


class CaseProcess:
    """A running case. A context manager: leaving ends the process and all its children.

    `start_up_s` and `start_up_cpu_s` are those from its start until it was ready. Raises
    `CaseFailed` when it is not ready, or not done, within `limit_s`.
    """

    def __init__(self, case: Case, limit_s: float = 120.0) -> None:
        self.case, self._limit_s = case, limit_s
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        began_s = time.perf_counter()
        self._process = subprocess.Popen(
            [*case.command, case.job.to_json()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints,
            env={**os.environ, **case.environment}, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        self._pipe = selectors.DefaultSelector()
        self._pipe.register(self._output, selectors.EVENT_READ)
        self._unread = b""
        self._rss_bytes = 0
        try:
            self.told = self._await("ready")
            self.start_up_s = time.perf_counter() - began_s
            self.start_up_cpu_s = cpu_s(self._process.pid)
        except BaseException:
            self.close()
            raise
        self._signal(signal.SIGSTOP)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def turn(self) -> Turn:
        """One round; blocks until it is done."""
        pid = self._process.pid
        self._signal(signal.SIGCONT)
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(b"go\n")
            self._process.stdin.flush()
            self._await("begin")
            began_s, began_cpu_s = time.perf_counter(), cpu_s(pid)
            told = self._await("done")
            wall_s, spent_s = time.perf_counter() - began_s, cpu_s(pid) - began_cpu_s
            self._rss_bytes = max(self._rss_bytes, peak_bytes(pid))
        except OSError as error:
            raise self._failure(f"{error.strerror}") from error
        frames = int(told.pop("frames", 0))
        if frames < 1:
            raise self._failure("it has taken no frame")
        self._signal(signal.SIGSTOP)
        return Turn(frames, wall_s, spent_s, self._rss_bytes / 1e6, told)

    def close(self) -> None:
        """End it: politely, then by force. Idempotent."""
        self._signal(signal.SIGCONT)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE_WITHIN_S)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._pipe.close()
        self._complaints.close()

    def _await(self, word: str) -> dict[str, Any]:
        """What follows this word, once it is said."""
        ends_s = time.monotonic() + self._limit_s
        while (line := self._line(ends_s)) is not None:
            mark, _, said = line.strip().partition(" ")
            found, _, rest = said.partition(" ")
            if mark == MARK and found == "failed":
                raise self._failure(rest or "it has failed")
            if mark == MARK and found == word:
                return dict(json.loads(rest or "{}"))
        raise self._failure(f"not {word} within {self._limit_s:g} s")

    def _line(self, ends_s: float) -> str | None:
        """The next line; None: it did not come in time. Meanwhile, memory is watched."""
        while b"\n" not in self._unread:
            if time.monotonic() > ends_s:
                return None
            if not self._pipe.select(_MEMORY_EVERY_S):
                self._rss_bytes = max(self._rss_bytes, tree_bytes(self._process.pid))
                continue
            more = os.read(self._output, 65536)
            if not more:
                raise self._failure("its process has ended")
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode(errors="replace")

    def _failure(self, why: str) -> CaseFailed:
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        last = f" ({lines[-1]})" if lines else ""
        return CaseFailed(self.case.name, why + last)

    def _signal(self, number: signal.Signals) -> None:
        """To the process and its children; it may be gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def cpu_s(pid: int) -> float:
    """CPU time of a process, of its living descendants, and of the dead ones it has waited for."""
    total = 0.0
    for each in (pid, *descendants(pid)):
        with contextlib.suppress(OSError):
            total += time.clock_gettime(~each << 3 | _SCHEDULER_CLOCK)
            total += _reaped_s(each)
    return total


def _reaped_s(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    user, system = stat.rpartition(")")[2].split()[13:15]
    return (int(user) + int(system)) / _TICKS_A_SECOND


def descendants(pid: int) -> list[int]:
    """Children of a process, their children, and so on: those that live now."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text(encoding="ascii").split()):
                found += [child, *descendants(child)]
    return found


def peak_bytes(pid: int) -> int:
    """The largest resident set that the process has had, and what its children hold now."""
    peak = _status_bytes(pid, "VmHWM")
    return max(peak + sum(map(_own_bytes, descendants(pid))), tree_bytes(pid))


def tree_bytes(pid: int) -> int:
    """Resident set of a process, and the pages of its children that are no shared memory."""
    return _status_bytes(pid, "VmRSS") + sum(map(_own_bytes, descendants(pid)))


def _own_bytes(pid: int) -> int:
    return _status_bytes(pid, "VmRSS") - _status_bytes(pid, "RssShmem")


def _status_bytes(pid: int, key: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    found = next((line.split() for line in lines if line.startswith(f"{key}:")), None)
    return int(found[1]) * 1024 if found else 0
