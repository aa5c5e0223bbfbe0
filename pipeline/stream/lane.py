"""The frames of one stream that wait for the engine, and how long they have."""

import threading
from collections.abc import Callable
from typing import Final

from pipeline.channel import Channel, WhenFull
from pipeline.core.clock import Clock
from pipeline.core.frame import Frame
from stages.batch import Turn

STARVED_S: Final = 1.0
"""The time after which a stream that a latency target let nothing through of gets its newest frame
in, late or not."""


class Lane(Channel[Frame]):
    """The channel of one stream's frames, which gives none that is older than `longest_age_s`,
    counted from its `put`, or with `by_target` older than the turn says, where that is less.

    Those are dropped when their turn comes, told to `on_late` as `on_drop` is told others. If a
    batch took longer than that, the newest frame is still given if it came during that batch:
    nothing fresher could be had, and a camera with few frames would otherwise get none through.
    With None, as for files, frames wait as long as they must. Who waits for room is woken once half
    of the lane is free: a decoder that is woken for each frame costs more than it decodes ahead.
    """

    def __init__(
        self,
        capacity: int,
        when_full: WhenFull,
        *,
        longest_age_s: float | None,
        by_target: bool = False,
        on_drop: Callable[[Frame], None],
        on_late: Callable[[Frame], None],
        clock: Clock,
        condition: threading.Condition | None = None,
    ) -> None:
        super().__init__(
            capacity, when_full, condition=condition, on_drop=self._forget, refill_at=capacity // 2
        )
        self.patient = longest_age_s is None
        """True: frames wait as long as they must; see `stages.batch.Lane`."""
        self._longest_age_s = float("inf") if longest_age_s is None else longest_age_s
        self._by_target, self._clock = by_target, clock
        self._tell_drop, self._tell_late = on_drop, on_late
        self._put_s: dict[int, float] = {}
        self._arrived: Callable[[], object] | None = None
        self._in_queue = False
        self._given_s = self._clock.monotonic_s()
        self.oldest_s = 0.0
        """The age in s of the oldest frame so far that was given to the engine."""

    def put(self, item: Frame) -> bool:
        """Offer a frame and note when it came, see `Channel.put`."""
        with self._changed:
            self._put_s[item.info.seq] = self._clock.monotonic_s()
            accepted = super().put(item)
            self._join_queue()
            return accepted

    def watch(self, arrived: Callable[[], object] | None) -> None:
        """Set who is told of frames, see `stages.batch.Lane.watch`."""
        self._arrived, self._in_queue = arrived, False
        self._join_queue()

    def _join_queue(self) -> None:
        """Tell the watcher of a frame, once until `give` has emptied the lane."""
        if self._items and not self._in_queue and self._arrived is not None:
            self._in_queue = True
            self._arrived()

    @property
    def waiting(self) -> int:
        """The number of frames that wait."""
        return len(self._items)

    def give(self, turn: Turn) -> tuple[Frame, float] | None:
        """Take the oldest frame that is not too old, see `stages.batch.Lane.give`."""
        frame = self.take_first(lambda frame: self._is_in_time(frame, turn))
        self._in_queue = bool(self._items)
        if frame is None:
            return None
        put_s = self._put_s.pop(frame.info.seq)
        self.oldest_s = max(self.oldest_s, turn.now_s - put_s)
        self._given_s = turn.now_s
        return frame, put_s

    def _is_in_time(self, frame: Frame, turn: Turn) -> bool:
        """True if a frame may be given; else note and tell that it is late."""
        put_s = self._put_s[frame.info.seq]
        in_time = self.patient or turn.now_s - put_s <= self._limit_s(turn)
        if in_time or self._must_do(put_s, turn):
            return True
        del self._put_s[frame.info.seq]
        turn.late += 1
        self._tell_late(frame)
        return False

    def _limit_s(self, turn: Turn) -> float:
        if not self._by_target:
            return self._longest_age_s
        return min(self._longest_age_s, turn.longest_age_s)

    def _must_do(self, put_s: float, turn: Turn) -> bool:
        """True if the frame is the newest one, and nothing better is to be had."""
        if self._items:
            return False
        starved = self._by_target and turn.now_s - self._given_s >= STARVED_S
        return put_s >= turn.before_s or (starved and turn.now_s - put_s <= self._longest_age_s)

    def take(self, most: int, within_s: float | None = None) -> list[Frame]:
        """Take frames of any age, see `Channel.take`."""
        with self._changed:
            frames = super().take(most, within_s)
            for frame in frames:
                self._put_s.pop(frame.info.seq)
            return frames

    def _forget(self, frame: Frame) -> None:
        self._put_s.pop(frame.info.seq, None)
        self._tell_drop(frame)
