"""Frames of many streams into batches: by size or deadline, in turn, held up by none."""

import threading
from collections.abc import Sequence
from typing import Protocol

from pipeline.core.clock import Clock, SystemClock
from pipeline.core.frame import Frame


class Lane(Protocol):
    """The waiting frames of one stream. Both are called with the batcher's condition held."""

    def take_nowait(self) -> Frame | None:
        """The oldest waiting frame, or None."""

    @property
    def finished(self) -> bool:
        """Closed and empty: never another frame."""


class Batcher:
    """Takes batches from lanes; one consumer thread.

    Policy, in order:

    1. One frame per lane and turn. The turn goes on after the lane served last, over batches too:
       between two lanes that always have frames, the served counts differ by at most one.
    2. Frames that wait are taken at once, up to `size`: under load batches fill by themselves.
    3. A batch below `size` waits at most `within_s` after its first frame, and only for lanes that
       have given nothing to it: the next frame of a camera just served is a frame period away, and
       waiting for it would be pure delay.
    4. A lane that let a deadline pass is absent, and not waited for until it gives a frame again.

    `condition` is shared: lanes notify it at every put and close, whoever adds or removes lanes
    holds it and notifies. Its lock must be re-entrant (`threading.Condition()` is).
    """

    def __init__(
        self,
        condition: threading.Condition,
        size: int,
        within_s: float,
        clock: Clock | None = None,
    ) -> None:
        if size < 1 or within_s < 0:
            raise ValueError(f"Batcher: size {size} must be >= 1 and within_s {within_s} >= 0")
        self._condition = condition
        self._size, self._within_s = size, within_s
        self._clock = clock or SystemClock()
        self._last: Lane | None = None
        self._absent: set[Lane] = set()

    def take(self, lanes: Sequence[Lane]) -> list[Frame]:
        """Block until there is a frame, then gather up to `size` by the policy above.

        `lanes` is read anew after every wait, so lanes may be added to it and removed from it
        meanwhile (they are told apart by hash and equality). Gives [] when all lanes are finished,
        or there are none.
        """
        with self._condition:
            batch: list[Frame] = []
            given: set[Lane] = set()
            self._sweep(lanes, batch, given)
            while not batch and not all(lane.finished for lane in lanes):
                self._condition.wait()
                self._sweep(lanes, batch, given)
            if batch:
                self._fill(lanes, batch, given)
            return batch

    def _fill(self, lanes: Sequence[Lane], batch: list[Frame], given: set[Lane]) -> None:
        deadline_s = self._clock.monotonic_s() + self._within_s
        while len(batch) < self._size and (awaited := self._awaited(lanes, given)):
            left_s = deadline_s - self._clock.monotonic_s()
            if left_s <= 0:
                self._absent = (self._absent | awaited) & set(lanes)
                return
            self._condition.wait(left_s)
            self._sweep(lanes, batch, given)

    def _awaited(self, lanes: Sequence[Lane], given: set[Lane]) -> set[Lane]:
        away = given | self._absent
        return {lane for lane in lanes if lane not in away and not lane.finished}

    def _sweep(self, lanes: Sequence[Lane], batch: list[Frame], given: set[Lane]) -> None:
        """Take turns until the batch is full or the lanes are dry."""
        taken = -1
        while taken < len(batch) < self._size:
            taken = len(batch)
            for lane in self._turn(lanes):
                if len(batch) == self._size:
                    return
                frame = lane.take_nowait()
                if frame is not None:
                    batch.append(frame)
                    given.add(lane)
                    self._absent.discard(lane)
                    self._last = lane

    def _turn(self, lanes: Sequence[Lane]) -> list[Lane]:
        order = list(lanes)
        start = order.index(self._last) + 1 if self._last in order else 0
        return order[start:] + order[:start]
