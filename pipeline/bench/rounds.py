"""Cases that take turns, so that a busy machine is busy for all of them."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from pipeline.bench.cameras import Cameras
from pipeline.bench.clips import FPS
from pipeline.bench.job import Case
from pipeline.bench.process import CaseFailed, CaseProcess, Turn
from pipeline.bench.statistics import percentiles

SKIPPED_S = 2.0
"""The part of a live round that is not looked at: readers find out what they read, and catch up."""


@dataclass(slots=True)
class Measured:
    """What is known of a case after all rounds."""

    case: Case
    start_up_s: float = 0.0
    """From the start of its process until everything was loaded, once."""
    start_up_cpu_s: float = 0.0
    turns: list[Turn] = field(default_factory=list)
    """One a round, in order; none where it failed."""
    failed: str | None = None
    """Why there are no figures."""


def measure(
    cases: Sequence[Case],
    rounds: int,
    limit_s: float,
    tell: Callable[[str], None],
    cameras: Cameras | None = None,
) -> list[Measured]:
    """All processes are started, one after the other; then every round gives each its turn, in an
    order that shifts by one from round to round. The first round warms up and does not count. A
    case that fails is left out from there on, and says why; the others go on. `limit_s` is for one
    start or one turn. `cameras` are what live cases read. Ctrl-C ends the rounds; those that are
    whole count."""
    found = [Measured(case) for case in cases]
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="eyrie-bench-"))
        alive: list[tuple[Measured, CaseProcess]] = []
        for one in found:
            tell(f"{one.case.name}: start")
            with _noted(one, tell):
                process = stack.enter_context(CaseProcess(_in(one.case, folder), limit_s))
                one.start_up_s = process.start_up_s
                one.start_up_cpu_s = process.start_up_cpu_s
                alive.append((one, process))
        try:
            for number in range(rounds + 1):
                _round(number, alive, tell, cameras)
        except KeyboardInterrupt:
            tell("stopped")
            _keep_whole_rounds(found)
    return found


def _round(
    number: int,
    alive: Sequence[tuple[Measured, CaseProcess]],
    tell: Callable[[str], None],
    cameras: Cameras | None,
) -> None:
    shift = number % max(1, len(alive))
    for one, process in (*alive[shift:], *alive[:shift]):
        if one.failed is not None:
            continue
        tell(f"round {number}: {one.case.name}")
        with _noted(one, tell):
            turn = _turn(process, cameras)
            if number:
                one.turns.append(turn)


def _keep_whole_rounds(found: Sequence[Measured]) -> None:
    whole = min((len(one.turns) for one in found if one.failed is None), default=0)
    for one in found:
        del one.turns[whole:]


def _turn(process: CaseProcess, cameras: Cameras | None) -> Turn:
    """A round; of a live case, with `latency_ms` and the share of the frames that was `delivered`
    in place of all times."""
    if cameras is not None:
        cameras.reset()
    turn = process.turn()
    times = turn.told.pop("times", [])
    if process.case.job.live and cameras is not None:
        skipped = round(SKIPPED_S * FPS)
        found = cameras.latencies_ms(times, skipped)
        if not found:
            raise CaseFailed(process.case.name, "no result of any camera")
        expected = (cameras.frames - skipped) * len(process.case.job.clips)
        turn.told["latency_ms"] = percentiles(found)
        turn.told["delivered"] = len(found) / expected
    return turn


def _in(case: Case, folder: str) -> Case:
    """Temporary files of all cases go into one folder, which is deleted at the end."""
    return replace(case, environment={**case.environment, "TMPDIR": os.fspath(folder)})


@contextlib.contextmanager
def _noted(one: Measured, tell: Callable[[str], None]) -> Iterator[None]:
    try:
        yield
    except CaseFailed as error:
        one.failed, one.turns = error.why, []
        tell(str(error))
