"""A bounded queue between two threads, with an account of everything that passed.

At any moment `offered = taken + dropped + waiting`.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, cast

T = TypeVar("T")
WhenFull = Literal["block", "drop_oldest", "drop_newest"]


@dataclass(frozen=True, slots=True)
class ChannelStatistics:
    """The counts of a channel since it was made; `waiting` is the number of items in it now."""

    offered: int
    taken: int
    dropped: int
    waiting: int


class Channel(Generic[T]):
    """A queue of at most `capacity` items.

    `when_full` says what `put` does when there is no room: `block` until there is,
    `drop_oldest` item waiting, or `drop_newest`, the offered item itself. `on_drop` is told every
    dropped item before any later item can be taken; it is called with the lock held, so it must be
    quick and must not use a channel. Channels that are read together share one `condition`, which
    is notified when there is something to take, or a channel is closed; it is for those who read.
    Who waits for room is woken by the one channel that has some, once no more than `refill_at`
    items wait; None: by each one that is taken.
    """

    def __init__(
        self,
        capacity: int,
        when_full: WhenFull,
        *,
        condition: threading.Condition | None = None,
        on_drop: Callable[[T], None] | None = None,
        refill_at: int | None = None,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"Channel: capacity must be at least 1, not {capacity}")
        self._capacity = capacity
        self._refill_at = capacity - 1 if refill_at is None else refill_at
        self._when_full = when_full
        self._changed = condition or threading.Condition()
        # A condition has the methods of its lock: these two have one lock between them.
        self._room = threading.Condition(cast(threading.Lock, self._changed))
        self._on_drop = on_drop
        self._items: deque[T] = deque()
        self._closed = False
        self._offered = 0
        self._taken = 0
        self._dropped = 0
        self._kept_out = 0  # threads that wait for room

    def put(self, item: T) -> bool:
        """Offer an item. False: the channel is closed, or the item was the one dropped.

        Blocks only under `when_full="block"`, until there is room or the channel closes.
        """
        with self._changed:
            waits = self._when_full == "block"
            while waits and len(self._items) >= self._capacity and not self._closed:
                self._kept_out += 1
                self._room.wait()
                self._kept_out -= 1
            self._offered += 1
            victim, accepted = self._place(item)
            if victim is not None:
                self._report([victim])
            self._changed.notify_all()
        return accepted

    def _place(self, item: T) -> tuple[T | None, bool]:
        """Queue the item -> the item that was dropped for it, or None, and True if it was taken
        in."""
        if self._closed or (
            len(self._items) == self._capacity and self._when_full != "drop_oldest"
        ):
            self._dropped += 1
            return item, False
        victim = None
        if len(self._items) == self._capacity:
            victim = self._items.popleft()
            self._dropped += 1
        self._items.append(item)
        return victim, True

    def take_first(self, wanted: Callable[[T], bool]) -> T | None:
        """Take the oldest item that is wanted; None: there is none now. Those before it are
        dropped, and not told to `on_drop`, for `wanted` knows: it is asked once of each, with the
        lock held, after the item has left the channel. Never blocks."""
        with self._changed:
            while self._items:
                item = self._items.popleft()
                self._let_in()
                if wanted(item):
                    self._taken += 1
                    return item
                self._dropped += 1
        return None

    def take(self, most: int, within_s: float | None = None) -> list[T]:
        """Take up to `most` items, oldest first. Blocks until there is one, the channel is
        finished, or `within_s` is over; an empty list means one of the latter two."""
        with self._changed:
            if not self._items:
                self.wait(within_s)
            taken = [self._items.popleft() for _ in range(min(most, len(self._items)))]
            self._taken += len(taken)
            self._let_in()
            return taken

    def wait(self, within_s: float | None = None) -> None:
        """Block until there is an item to take, the channel is finished, or `within_s` is over."""
        with self._changed:
            if not self._items:
                self._changed.wait_for(lambda: self._items or self._closed, within_s)

    def _let_in(self) -> None:
        """Wake as many of those who wait for room as there is room for, if it is time."""
        if self._kept_out and len(self._items) <= self._refill_at:
            self._room.notify(self._capacity - len(self._items))

    def refill_at_once(self) -> None:
        """Wake who waits for room whenever there is some, from now on: somebody waits for them."""
        with self._changed:
            self._refill_at = self._capacity - 1
            self._let_in()

    def close(self) -> None:
        """Accept no more items; those that wait can still be taken. Idempotent."""
        with self._changed:
            self._closed = True
            self._wake_all()

    def abort(self) -> None:
        """Close, and drop the items that wait. Idempotent."""
        with self._changed:
            self._closed = True
            victims = list(self._items)
            self._items.clear()
            self._dropped += len(victims)
            self._report(victims)
            self._wake_all()

    def _wake_all(self) -> None:
        self._changed.notify_all()
        self._room.notify_all()

    def _report(self, victims: list[T]) -> None:
        if self._on_drop is not None:
            for victim in victims:
                self._on_drop(victim)

    @property
    def closed(self) -> bool:
        """True once `close` or `abort` was called."""
        return self._closed

    @property
    def has_room(self) -> bool:
        """True if `put` of a few items would most likely not block: no more than half full."""
        return self._when_full != "block" or 2 * len(self._items) <= self._capacity

    @property
    def finished(self) -> bool:
        """True when closed and empty: nothing will ever come again."""
        with self._changed:
            return self._closed and not self._items

    def statistics(self) -> ChannelStatistics:
        """The counts, as one consistent snapshot. Any thread."""
        with self._changed:
            return ChannelStatistics(self._offered, self._taken, self._dropped, len(self._items))
