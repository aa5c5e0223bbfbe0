"""The threads that detect, and the order in which their results go on."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.core.clock import Clock
from pipeline.core.detections import Detections
from pipeline.core.frame import Frame

Found = list[tuple[Frame, Detections]]


@dataclass(frozen=True, slots=True)
class Duties:
    """The work of a crew as functions, all of which its own threads call.

    - `take`: gives the next batch; [] when there will be none. Blocks. One thread at a time.
    - `detect`: finds what is in a batch, frame by frame. All threads of the crew at once.
    - `hand_on`: passes a batch's results on. May block. One thread at a time, in order of taking.
    - `note`: gets the frames of a batch and its seconds, with those of `hand_on`. One thread at a
      time.
    - `end`: is called once, when `take` has given [] to every thread.
    """

    take: Callable[[], list[Frame]]
    detect: Callable[[list[Frame]], list[Detections]]
    hand_on: Callable[[Found], None]
    note: Callable[[int, float], None]
    end: Callable[[], None]


class Crew:
    """`size` threads, each of which is to run `work`.

    Batches are taken one after the other and computed beside each other. What was found waits until
    all batches before it are handed on, so that frames which were taken in order stay in order. A
    thread goes on with the next batch meanwhile, unless `2 * size` results wait already: batches
    differ in size, and who has small ones shall not wait for who has a large one.

    A batch whose `detect` raises is passed over: that thread ends, the others go on.
    """

    def __init__(self, size: int, duties: Duties, clock: Clock) -> None:
        if size < 1:
            raise ValueError(f"Crew: size must be at least 1, not {size}")
        self.size = size
        self._duties, self._clock = duties, clock
        self._taking = threading.Lock()
        self._taken = 0
        self._changed = threading.Condition()
        self._waiting: dict[int, Found] = {}
        """Results that wait to be handed on, by the number of their batch."""
        self._next = 0
        """The number of the batch that is handed on next."""
        self._handing_on = False
        self._at_work = size

    @property
    def over(self) -> bool:
        """True once `end` was called, or is about to be."""
        return self._at_work == 0

    def work(self) -> None:
        """Do batches until there are no more: the whole work of one thread. Raises what `detect`
        raises."""
        while self._do_one():
            pass
        with self._changed:
            self._at_work -= 1
            is_last = self._at_work == 0
        if is_last:
            self._duties.end()

    def _do_one(self) -> bool:
        """Do one batch. False: there are no more. A function of its own, so that nothing holds a
        batch's pixels while the thread waits for the next one."""
        with self._taking:
            frames = self._duties.take()
            if not frames:
                return False
            number, self._taken = self._taken, self._taken + 1
        began_s = self._clock.monotonic_s()
        found: Found = []
        try:
            found = list(zip(frames, self._duties.detect(frames), strict=True))
        finally:
            self._finish(number, found)
        with self._changed:
            self._duties.note(len(frames), self._clock.monotonic_s() - began_s)
        return True

    def _finish(self, number: int, found: Found) -> None:
        with self._changed:
            self._waiting[number] = found
            is_free = not self._handing_on
            self._handing_on = True
        if is_free:
            self._hand_on()
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < 2 * self.size)

    def _hand_on(self) -> None:
        """Hand on results up to the first gap, also what others finish meanwhile."""
        try:
            while (found := self._turn()) is not None:
                self._duties.hand_on(found)
        except BaseException:
            with self._changed:
                self._handing_on = False
            raise

    def _turn(self) -> Found | None:
        with self._changed:
            found = self._waiting.pop(self._next, None)
            if found is None:
                self._handing_on = False
            else:
                self._next += 1
            self._changed.notify_all()
            return found
