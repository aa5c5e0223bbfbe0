"""Where the CPU time of this process goes, by call stacks: a profile for speedscope.

A thread looks at all stacks every few milliseconds, and gives each the CPU time that its thread has
used since the last look, in native code too. Threads without Python, such as those of a decoder or
of an engine, are told by their names. Looking needs the interpreter's lock, so stacks are seen
where it is let go: what a line of Python costs is blurred, how much a thread or a library costs is
not.
"""

import json
import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

EVERY_S = 0.005
_TASKS = Path("/proc/self/task")
_SCHEMA = "https://www.speedscope.app/file-format-schema.json"
_DEEPEST = 80

Place = tuple[str, str, int]
"""Function, file and line of a frame; file and line are empty where there is no Python."""
Stack = tuple[Place, ...]
"""Outermost first; the thread's name comes before."""


class Sampler:
    """Samples while it is entered, on Linux. `spent_ns` is CPU time by stack."""

    def __init__(self) -> None:
        self.spent_ns: Counter[Stack] = Counter()
        self._seen_ns: dict[int, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="eyrie sampler", daemon=True)

    def __enter__(self) -> Self:
        self._look()
        self.spent_ns.clear()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def write(self, path: Path, name: str) -> None:
        """As a file for https://www.speedscope.app, in its format of weighted samples."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(speedscope(self.spent_ns, name)), encoding="utf-8")

    def _run(self) -> None:
        while not self._ended.wait(EVERY_S):
            self._look()
        self._look()

    def _look(self) -> None:
        frames = sys._current_frames()
        threads = {thread.native_id: thread for thread in threading.enumerate()}
        for task in _TASKS.iterdir():
            spent_ns = self._since_last(task)
            if not spent_ns:
                continue
            thread = threads.get(int(task.name))
            if thread is None:
                self.spent_ns[(_native(task),)] += spent_ns
            elif thread is not self._thread:
                stack = _stack(frames.get(thread.ident or 0))
                self.spent_ns[((thread.name, "", 0), *stack)] += spent_ns

    def _since_last(self, task: Path) -> int:
        """CPU nanoseconds of a thread since the last look; a thread may end at any time."""
        try:
            now_ns = int((task / "schedstat").read_text(encoding="ascii").split()[0])
        except OSError:
            return 0
        tid = int(task.name)
        before_ns = self._seen_ns.get(tid, 0)
        self._seen_ns[tid] = now_ns
        return now_ns - before_ns if now_ns >= before_ns else now_ns


def _native(task: Path) -> Place:
    try:
        return f"[{(task / 'comm').read_text(encoding='utf-8').strip()}]", "", 0
    except OSError:
        return "[ended]", "", 0


def _stack(frame: FrameType | None) -> Stack:
    found: list[Place] = []
    while frame is not None and len(found) < _DEEPEST:
        code = frame.f_code
        found.append((code.co_qualname, code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return tuple(reversed(found))


def speedscope(spent_ns: Counter[Stack], name: str) -> dict[str, Any]:
    """The profile as speedscope's JSON: one sample for each stack, its weight in microseconds."""
    numbers: dict[Place, int] = {}
    samples = [[numbers.setdefault(place, len(numbers)) for place in stack] for stack in spent_ns]
    weights = [round(spent / 1000, 1) for spent in spent_ns.values()]
    frames = [
        {"name": what, **({"file": file, "line": line} if file else {})}
        for what, file, line in numbers
    ]
    profile = {
        "type": "sampled", "name": name, "unit": "microseconds", "startValue": 0,
        "endValue": round(sum(weights), 1), "samples": samples, "weights": weights,
    }  # fmt: skip
    return {"$schema": _SCHEMA, "name": name, "shared": {"frames": frames}, "profiles": [profile]}
