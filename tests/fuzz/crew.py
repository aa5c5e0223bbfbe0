"""Worker processes over a range of cases: crashes and hangs are told with their case."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from tests.fuzz.corpus import clips
from tests.fuzz.mutate import make
from tests.fuzz.worker import Outcome

ROOT: Final = Path(__file__).resolve().parents[2]
DEADLINE_S: Final = 20.0
"""A case takes some milliseconds; one that takes so long hangs, however busy the machine is."""
_AHEAD: Final = 8
"""Cases that are given to a worker before the first is done."""


@dataclass(slots=True)
class Findings:
    """What became of all cases."""

    cases: int = 0
    whole: int = 0
    """Decoded to the end without any damage noticed."""
    damaged: int = 0
    """Decoded to the end, with damage counted."""
    refused: int = 0
    """Ended with an error that names the file."""
    frames: int = 0
    damage: int = 0
    """Damaged packets and pictures counted."""
    faults: list[str] = field(default_factory=list)
    """What must not be: crashes, hangs, other exceptions, wrong accounts; with their cases."""

    def add(self, outcome: Outcome) -> None:
        """Count one more case."""
        self.cases += 1
        self.frames += outcome["frames"]
        self.damage += outcome["damaged"]
        if outcome["fault"] is not None:
            self.faults.append(f"{outcome['name']}: {outcome['fault']}")
        elif outcome["error"] is not None:
            self.refused += 1
        elif outcome["damaged"]:
            self.damaged += 1
        else:
            self.whole += 1


def run(numbers: Sequence[int], workers: int = 2, deadline_s: float = DEADLINE_S) -> Findings:
    """Decode all cases. Blocks until all have an outcome."""
    findings, lock = Findings(), threading.Lock()

    def serve(share: Sequence[int]) -> None:
        for outcome in _outcomes(share, deadline_s):
            with lock:
                findings.add(outcome)

    shares = [numbers[place::workers] for place in range(workers)]
    threads = [threading.Thread(target=serve, args=(share,), daemon=True) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return findings


def _outcomes(numbers: Sequence[int], deadline_s: float) -> Iterator[Outcome]:
    """The outcome of each case, with a new worker after each that died."""
    done = 0
    while done < len(numbers):
        with _Worker(deadline_s) as worker:
            for outcome in worker.outcomes(numbers[done:]):
                done += 1
                yield outcome
            if worker.dead is not None:
                yield _fatal(numbers[done], worker.dead)
                done += 1


def _fatal(number: int, why: str) -> Outcome:
    name = make(number, clips()).name
    return Outcome(number=number, name=name, frames=0, damaged=0, error=None, fault=why)


class _Worker:
    """One process. `dead` says why it ended before it was done, None if it did not."""

    def __init__(self, deadline_s: float) -> None:
        self.dead: str | None = None
        self._deadline_s = deadline_s
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def __enter__(self) -> "_Worker":
        command = [sys.executable, "-m", "tests.fuzz.worker"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {"MALLOC_PERTURB_": "165"}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self._process.stdout is not None
        pump = threading.Thread(target=self._pump, args=(self._process.stdout,), daemon=True)
        pump.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def outcomes(self, numbers: Sequence[int]) -> Iterator[Outcome]:
        """Of the cases in order, until all are done or the process is dead."""
        given = 0
        for place in range(len(numbers)):
            while given < min(place + _AHEAD, len(numbers)):
                self._give(numbers[given])
                given += 1
            outcome = self._next()
            if outcome is None:
                return
            yield outcome

    def _give(self, number: int) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{number}\n")
            self._process.stdin.flush()
        except BrokenPipeError:  # it has died: `_next` says of what
            return

    def _next(self) -> Outcome | None:
        while True:
            try:
                line = self._lines.get(timeout=self._deadline_s)
            except queue.Empty:
                self.dead = f"hang: not done within {self._deadline_s:g} s"
                return None
            if line is None:
                self.dead = f"crash: the process ended with {self._process.wait()}"
                return None
            if line.startswith("done "):
                outcome: Outcome = json.loads(line.removeprefix("done "))
                return outcome

    def _pump(self, lines: IO[str]) -> None:
        for line in lines:
            self._lines.put(line)
        self._lines.put(None)
