"""One live stream's gate, and how far each gate opens when not all frames fit. No thread in here.

`docs/load.md` explains the order to users.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from pipeline.account import LoadStage

GOLDEN: Final = (math.sqrt(5) - 1) / 2
"""The golden ratio less 1: its multiples, modulo 1, lie apart however many there are."""
_STAGES: Final[tuple[LoadStage, ...]] = ("skip", "slow", "below_floor")
_HALVINGS: Final = 14
"""Halvings of one step of the order in the search: far below one frame in a minute."""


class Gate:
    """A gate that lets an even share of one stream's frames through; the rest never waits for the
    engine.

    `admit` or `follow` is called for every frame, by one thread; `lost` is counted where one that
    was let through is dropped for load after all, and `late` as well if it was too old. `Load`
    reads them and sets `keep`, from another thread.
    """

    def __init__(self, stream_id: str, priority: int, min_fps: float) -> None:
        self.stream_id, self.priority, self.min_fps = stream_id, priority, min_fps
        self.keep = 1.0
        """The share of the frames that is let through, 0 to 1."""
        self.rate_fps = 0.0
        """Frames a second that come, let through or not."""
        self.offered = self.admitted = self.lost = self.late = 0
        self.phase = 0.0
        """The credit to begin with, 0 to 1: gates of other phases let other frames through."""
        self._credit = 0.0
        self._before = (0, 0, 0, 0)
        self._measured = False

    def admit(self) -> bool:
        """Offer the next frame -> True if it is let through. Of any n in a row, keep * n are, give
        or take one."""
        self.offered += 1
        if self.keep >= 1:
            self.admitted += 1
            self._credit = self.phase
            return True
        self._credit += self.keep
        if self._credit < 1 - 1e-9:
            return False
        self._credit -= 1
        self.admitted += 1
        return True

    def follow(self, admitted: int, left_out: int) -> None:
        """Count frames about which a copy of this gate has decided, where they were decoded."""
        self.offered += admitted + left_out
        self.admitted += admitted

    def copy(self, keep: float, phase: float) -> None:
        """Be as open as another gate is, and let the same frames through from now on."""
        if phase != self.phase:
            self._credit = phase
        self.keep, self.phase = keep, phase

    def measure(self, elapsed_s: float) -> tuple[int, int, int]:
        """Count (frames let through, those of them lost, those of them too late) in the `elapsed_s`
        since the last call."""
        now = (self.offered, self.admitted, self.lost, self.late)
        offered, admitted, lost, late = (a - b for a, b in zip(now, self._before, strict=True))
        self._before = now
        fps = offered / elapsed_s
        self.rate_fps = (self.rate_fps + fps) / 2 if self._measured else fps
        self._measured = True
        return admitted, lost, late


@runtime_checkable
class Thinning(Protocol):
    """A source that can leave out frames where it decodes them, before they cost more."""

    def thin_by(self, gate: Gate) -> None:
        """Leave out what `gate` does not let through from now on, counted as `thinned_total`, and
        have the gate `follow` them. What it yields is let through. The thread that reads it."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The share that each gate keeps, in the order of the gates, and the stage that is reached."""

    stage: LoadStage
    keeps: tuple[float, ...]

    def fps(self, gates: Sequence[Gate]) -> float:
        """The frames a second that pass these gates."""
        return sum(gate.rate_fps * keep for gate, keep in zip(gates, self.keeps, strict=True))


def opening(gates: Sequence[Gate], budget_fps: float) -> Opening:
    """Find the opening of each gate at which `budget_fps` frames a second pass, with the lowest
    priority giving way first.

    Three times through the classes of priority, the lowest first: each goes down to half of its
    frames (`skip`), then to its `min_fps` (`slow`), then, but for the highest class, to nothing
    (`below_floor`). The highest is never taken below its floor, whatever the budget.
    """
    classes = sorted({gate.priority for gate in gates})
    steps = len(_STAGES) * len(classes) - 1
    if steps < 0 or _at(gates, classes, 0.0).fps(gates) <= budget_fps:
        return _at(gates, classes, 0.0)
    step = next((s for s in range(steps) if _fits(gates, classes, s + 1, budget_fps)), None)
    if step is None:
        return _at(gates, classes, steps)
    gives, fits = float(step), float(step + 1)
    for _ in range(_HALVINGS):
        middle = (gives + fits) / 2
        if _fits(gates, classes, middle, budget_fps):
            fits = middle
        else:
            gives = middle
    return _at(gates, classes, fits)


def _fits(gates: Sequence[Gate], classes: Sequence[int], place: float, budget_fps: float) -> bool:
    return _at(gates, classes, place).fps(gates) <= budget_fps + 1e-9


def _at(gates: Sequence[Gate], classes: Sequence[int], place: float) -> Opening:
    """The opening at `place` steps into the order, which may lie between two steps."""
    count = len(classes)
    keeps = []
    for gate in gates:
        rank = classes.index(gate.priority)
        skip, slow, below = (_clip(place - stage * count - rank) for stage in range(len(_STAGES)))
        floor = min(1.0, gate.min_fps / gate.rate_fps) if gate.rate_fps > 0 else 1.0
        share = 1 - skip / 2 - slow / 2
        keeps.append(max(share, floor) * (1 - below))
    stage = _STAGES[min(math.ceil(place) - 1, len(_STAGES) * count - 1) // count] if place else None
    return Opening(stage or "full", tuple(keeps))


def _clip(value: float) -> float:
    return min(max(value, 0.0), 1.0)
