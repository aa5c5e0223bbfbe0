"""The account of one stream of one run, in whatever order its messages come."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from sinks.consume.glance import Glance
from sinks.consume.intervals import Intervals

MOST_TOLD: Final = 20
"""The number of a stream's order violations and contradictions that are told; all are counted."""


@dataclass(slots=True)
class Epoch:
    """The messages that have come of one epoch: frame messages, the frames that they tell as
    dropped, and from which `seq` to which that is."""

    frames: int = 0
    dropped: int = 0
    first_seq: int = -1
    last_seq: int = -1


@dataclass(frozen=True, slots=True)
class Hole:
    """Frames `first_seq` to `last_seq` that nothing tells of. `epoch`: of the frame before, and
    `next_epoch`: of the frame behind; None where there is no such frame."""

    first_seq: int
    last_seq: int
    epoch: int | None
    next_epoch: int | None

    def __str__(self) -> str:
        places = [str(epoch) for epoch in dict.fromkeys((self.epoch, self.next_epoch))]
        epochs = "-".join(place for place in places if place != "None") or "?"
        frames = self.last_seq - self.first_seq + 1
        return f"epoch {epochs}: seq {self.first_seq} to {self.last_seq} ({frames} frames)"


@dataclass(slots=True)
class StreamProof:
    """The proof of one stream: `take` every message that is no duplicate, then ask `holes` and
    `faults`.

    Each frame message claims its `seq` and as many numbers before it as it tells dropped. Together
    they must be all numbers from 0, each once. Memory grows with holes, epochs and what is out of
    order, not with messages.
    """

    number: int
    """The number of this stream among all, from 0."""
    run_id: str
    stream_id: str
    any_order: bool = False
    """True: what is out of order is only counted, and no fault."""
    known: Intervals = field(default_factory=Intervals)
    epochs: dict[int, Epoch] = field(default_factory=dict)
    kinds: "Counter[str]" = field(default_factory=Counter)
    dropped: "Counter[str]" = field(default_factory=Counter)
    duplicates: int = 0
    conflicts: int = 0
    disorder: int = 0
    contradictions: int = 0
    dead_lettered: int = 0
    end: Glance | None = None
    impaired: set[str] = field(default_factory=set)
    told: list[str] = field(default_factory=list)
    _highest: tuple[int, int] = (-1, -1)

    @property
    def frames(self) -> int:
        """Frame messages, each once."""
        return self.kinds["frame"]

    def take(self, message: Glance, dead_letter: bool = False) -> None:
        """Count a message that is no duplicate. A dead letter tells what it would have told, and
        has no place in the order."""
        self.kinds[message.kind] += 1
        self.dead_lettered += dead_letter
        if message.kind == "frame":
            self._frame(message)
            if not dead_letter:
                self._in_order(message)
        elif message.kind == "end_of_stream":
            if self.end is None or message.decoded >= self.end.decoded:
                self.end = message
        elif message.condition and message.status in ("impaired", "cleared"):
            change = self.impaired.add if message.status == "impaired" else self.impaired.discard
            change(message.condition)

    def _frame(self, message: Glance) -> None:
        before = 0
        if message.dropped_since_last:
            before = sum(message.dropped_since_last.values())
            self.dropped.update(message.dropped_since_last)
        seq = message.seq
        claimed = before + 1
        if self.known.add(seq - before, seq) != claimed:
            self.contradictions += 1
            self._tell(f"seq {seq} with {before} dropped before it: told by other messages too")
        epoch = self.epochs.get(message.epoch)
        if epoch is None:
            epoch = self.epochs[message.epoch] = Epoch(first_seq=seq - before)
        epoch.frames += 1
        epoch.dropped += before
        epoch.first_seq = min(epoch.first_seq, seq - before)
        epoch.last_seq = max(epoch.last_seq, seq)

    def _in_order(self, message: Glance) -> None:
        place = message.seq, message.epoch
        if place[0] < self._highest[0] or place[1] < self._highest[1]:
            self.disorder += 1
            after, epoch = self._highest
            if not self.any_order:
                late = f"seq {message.seq} of epoch {message.epoch}"
                self._tell(f"{late} came behind {after} of epoch {epoch}")
        else:
            self._highest = place

    def _tell(self, text: str) -> None:
        if len(self.told) < MOST_TOLD:
            self.told.append(text)

    @property
    def is_ended(self) -> bool:
        """True if its `end_of_stream` has come, and nothing behind it."""
        return self.end is not None and (self.known.highest or 0) < max(self.end.decoded, 1)

    def holes(self, trimmed: bool) -> list[Hole]:
        """Runs of frames that nothing tells of. `trimmed`: what lies before the first that has come
        may have been deleted, and is none."""
        highest = self.known.highest
        if highest is None:
            first, runs = 0, []
        else:
            runs = self.known.holes(0, highest)
            first = highest + 1
        if trimmed and runs and runs[0][0] == 0:
            del runs[0]
        if self.end is not None and first < self.end.decoded and self._tail_is_lost(runs):
            runs.append((first, self.end.decoded - 1))
        return [Hole(a, b, self._epoch_at(a - 1), self._epoch_at(b + 1)) for a, b in runs]

    def _tail_is_lost(self, runs: list[tuple[int, int]]) -> bool:
        """Whether the frames behind the last message were published. If they were dropped, only
        `end_of_stream` tells so, by its totals."""
        if self.end is None or self.end.published <= self.frames:
            return False
        untold = sum(self.end.dropped.values()) - self.dropped.total()
        return not runs or self.end.decoded - 1 - (self.known.highest or 0) > untold

    def _epoch_at(self, seq: int) -> int | None:
        for number, epoch in self.epochs.items():
            if epoch.first_seq <= seq <= epoch.last_seq:
                return number
        return None

    def faults(self, kinds: frozenset[str], from_start: bool) -> list[str]:
        """The faults beside holes. `kinds`: those that must all be here; `from_start`: nothing of
        the beginning is missing, so that totals can be compared."""
        found = list(self.told)
        hidden = self.contradictions + self.conflicts - len(found)
        if not self.any_order:
            hidden += self.disorder
        if hidden > 0:
            found.append(f"and {hidden} more like these")
        if self.end is not None and self.is_ended:
            if self.end.decoded != self.end.published + sum(self.end.dropped.values()):
                found.append("end_of_stream: decoded is not published + dropped")
            if from_start:
                found += self._totals(self.end, kinds)
            if self.impaired and "stream_status" in kinds:
                found.append(f"impaired and never cleared: {', '.join(sorted(self.impaired))}")
        return found

    def _totals(self, end: Glance, kinds: frozenset[str]) -> list[str]:
        found = []
        if "frame" in kinds and self.frames != end.published:
            found.append(f"end_of_stream tells {end.published} frame messages, here {self.frames}")
        for reason, count in sorted(self.dropped.items()):
            if count > end.dropped.get(reason, 0):
                found.append(f"{count} dropped for {reason!r}, end_of_stream tells fewer")
        for kind, count in sorted(end.messages.items()):
            if kind in kinds and kind != "frame" and self.kinds[kind] != count:
                found.append(f"end_of_stream tells {count} of kind {kind}, here {self.kinds[kind]}")
        return found

    def conflict(self, message: Glance, place: str) -> None:
        """Count a message whose id another one has, with other content."""
        self.conflicts += 1
        self._tell(f"message {message.message_id} ({place}) differs from an earlier one of its id")
