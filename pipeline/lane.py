"""The frames of one stream that wait for the engine, and how long they have."""

import math
import threading
from collections.abc import Callable

from pipeline.channel import Channel, WhenFull
from pipeline.core.clock import Clock, SystemClock
from pipeline.core.frame import Frame


class Lane(Channel[Frame]):
    """A channel that gives no frame which is older than `longest_age_s`, counted from its `put`.

    Those are dropped when their turn comes, told to `on_late` as `on_drop` is told others. If a
    batch took longer than that, the newest frame is still given if it came during that batch:
    nothing fresher could be had, and a camera with few frames would otherwise get none through.
    With None, as for files, frames wait as long as they must.
    """

    def __init__(
        self,
        capacity: int,
        when_full: WhenFull,
        *,
        longest_age_s: float | None,
        on_drop: Callable[[Frame], None],
        on_late: Callable[[Frame], None],
        condition: threading.Condition | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(capacity, when_full, condition=condition, on_drop=self._forget)
        self._longest_age_s, self._clock = longest_age_s, clock or SystemClock()
        self._tell_drop, self._tell_late = on_drop, on_late
        self._put_s: dict[int, float] = {}
        self._batch_s = math.inf
        self.oldest_s = 0.0
        """Age of the oldest frame so far that was given to the engine."""

    def put(self, item: Frame) -> bool:
        """See `Channel.put`."""
        with self._changed:
            self._put_s[item.info.seq] = self._clock.monotonic_s()
            return super().put(item)

    def begin_batch(self) -> None:
        """The engine has all frames of a batch, whether or not one of this lane, and begins."""
        with self._changed:
            self._batch_s = self._clock.monotonic_s()

    def take_nowait(self) -> Frame | None:
        """The oldest item that is not too old, or None when there is none now."""
        with self._changed:
            while (frame := super().take_nowait()) is not None:
                put_s = self._put_s.pop(frame.info.seq)
                age_s = self._clock.monotonic_s() - put_s
                is_newest = not self._items and put_s >= self._batch_s
                if self._longest_age_s is None or age_s <= self._longest_age_s or is_newest:
                    self.oldest_s = max(self.oldest_s, age_s)
                    return frame
                self._taken -= 1
                self._dropped += 1
                self._tell_late(frame)
        return None

    def take(self, most: int, within_s: float | None = None) -> list[Frame]:
        """See `Channel.take`: whatever its age."""
        with self._changed:
            frames = super().take(most, within_s)
            for frame in frames:
                self._put_s.pop(frame.info.seq)
            return frames

    def _forget(self, frame: Frame) -> None:
        self._put_s.pop(frame.info.seq, None)
        self._tell_drop(frame)
