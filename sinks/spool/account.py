"""The account of every message that a spool was given, number by number."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

DAMAGED = "damaged"


@dataclass(slots=True)
class Account:
    """The account of one spool: at every moment `produced = acknowledged + spooled + dead_lettered
    + dropped`.

    Numbers up to `floor` are settled. Of those above, up to `last`, the ones in `ahead` are: they
    are dead letters or damaged, and wait for the floor to come by. The others are `spooled`.
    """

    floor: int = 0
    last: int = 0
    ahead: set[int] = field(default_factory=set)
    found: int = 0
    """The messages that were there at the start; part of `produced`."""
    produced: int = 0
    acknowledged: int = 0
    dead_lettered: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    """The messages dropped, by reason: `damaged`, `spool_full`, `disk_full` and others of
    `Spool`."""

    @classmethod
    def at_start(cls, floor: int, last: int) -> "Account":
        """The account of a spool that holds the numbers above `floor` up to `last`."""
        return cls(floor, last, found=last - floor, produced=last - floor)

    @property
    def spooled(self) -> int:
        """Messages that wait on disk."""
        return self.last - self.floor - len(self.ahead)

    def append(self, count: int) -> None:
        """Count the next `count` numbers, which are on disk."""
        self.last += count
        self.produced += count

    def turn_away(self, count: int, reason: str) -> None:
        """Count messages that got no number, because there was no room."""
        self.produced += count
        self.dropped[reason] += count

    def acknowledge(self, number: int) -> None:
        """Settle all up to `number` as delivered, except those that were settled otherwise."""
        self.acknowledged += self._raise_floor(number)

    def give_up(self, number: int, reason: str) -> None:
        """Settle all up to `number` as dropped, except those that were settled before."""
        self.dropped[reason] += self._raise_floor(number)

    def dead_letter(self, number: int) -> bool:
        """Settle one as a dead letter. False: it was settled before."""
        fresh = self._settle(number)
        self.dead_lettered += fresh
        return fresh

    def lose(self, numbers: Iterable[int], reason: str = DAMAGED) -> int:
        """Settle these as never to be delivered -> how many of them were not settled before."""
        lost = sum(self._settle(number) for number in numbers)
        if lost:
            self.dropped[reason] += lost
        return lost

    def _settle(self, number: int) -> bool:
        if not self.floor < number <= self.last or number in self.ahead:
            return False
        self.ahead.add(number)
        self._raise_floor(self.floor)
        return True

    def _raise_floor(self, number: int) -> int:
        """Up to `number`, and over what is settled behind it: how many of those up to `number`
        were not settled before."""
        number = min(number, self.last)
        if number > self.floor:
            passed = {settled for settled in self.ahead if settled <= number}
            fresh = number - self.floor - len(passed)
            self.ahead -= passed
            self.floor = number
        else:
            fresh = 0
        while self.floor + 1 in self.ahead:
            self.floor += 1
            self.ahead.discard(self.floor)
        return fresh
