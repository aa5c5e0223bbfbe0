"""The batcher: frames of many streams into batches, by size or deadline, in turn, held up by
none."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, Protocol

from pipeline.core.clock import Clock, SystemClock
from pipeline.core.frame import Frame

PATIENT_SHARE: Final = 0.25
"""The places in a planned batch for waiting frames of patient streams, for each frame of one in a
hurry: every fifth place."""


@dataclass(slots=True)
class Turn:
    """The facts that a lane needs to give a frame; one object for all lanes and batches."""

    now_s: float = 0.0
    before_s: float = float("inf")
    """The second at which the batch before was taken."""
    longest_age_s: float = float("inf")
    """The age in s beyond which a frame would not be in time, whatever is done."""
    late: int = 0
    """Frames that lanes have dropped as too old, since the last batch."""


class Lane(Protocol):
    """The waiting frames of one stream. All is called with the batcher's condition held."""

    patient: bool
    """True: frames wait as long as they must, as those of files do."""

    def watch(self, arrived: Callable[[], object] | None) -> None:
        """Call `arrived` whenever a frame comes while none waits, and now if one waits."""

    def give(self, turn: Turn) -> tuple[Frame, float] | None:
        """Take the oldest frame that may still be used, and the second at which it came; or
        None."""

    @property
    def waiting(self) -> int:
        """The number of frames that wait."""

    @property
    def finished(self) -> bool:
        """True once the lane is closed and empty: there will never be another frame."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of the next batch."""

    size: int
    """The most frames of the batch; with patient ones, `full_size`."""
    full_size: int
    within_s: float
    """The age of its oldest frame in s at which a batch below `size` starts, too."""
    longest_age_s: float
    """The age in s beyond which frames of streams in a hurry would not be in time."""


@dataclass(slots=True)
class Flight:
    """A batch that was taken and is not handed on yet."""

    key: tuple[str, int]
    """The stream and the `seq` of its first frame, which is in no other batch."""
    frames: int
    taken_s: float
    came_s: list[float]
    """The seconds at which its frames of streams in a hurry came."""
    late: int
    """Frames that were too old when their turn came, since the batch before."""
    computed_s: float | None = None
    """The second at which the engine was done with it; it may then wait for batches before it."""


class Pacer(Protocol):
    """A planner of batches by what became of others. Called by one thread at a time."""

    @property
    def plan(self) -> Plan | None:
        """The plan of the next batch. None: it goes by the batcher's `size` and `within_s`."""

    def handed_on(self, flight: Flight, now_s: float) -> None:
        """Note that the results of a batch went on now; batches come in the order of taking."""


class Lanes:
    """The lanes of all streams, and the order in which those with frames are served.

    A lane that gets a frame joins the end of its queue, and joins it again after each frame given
    while others wait. So a turn costs the same with one lane or a thousand. Everything is called
    with the batcher's condition held, which is notified when lanes were added or removed.
    """

    def __init__(self, *, hurry: bool) -> None:
        self._hurry = hurry
        self._all: dict[Lane, deque[Lane]] = {}
        self._ready: deque[Lane] = deque()
        self._patient: deque[Lane] = deque()
        self._owed = 0.0
        self.present: set[Lane] = set()
        """The lanes that have given a frame since they let a deadline pass, and new ones."""

    def append(self, lane: Lane) -> None:
        """Add a lane, which is in no other `Lanes`."""
        queue = self._patient if self._hurry and lane.patient else self._ready
        self._all[lane] = queue
        self.present.add(lane)
        lane.watch(lambda: queue.append(lane))

    def remove(self, lane: Lane) -> None:
        """Remove a lane. Raises `KeyError` for one that is not there."""
        queue = self._all.pop(lane)
        lane.watch(None)
        self.present.discard(lane)
        if lane in queue:
            queue.remove(lane)

    def __contains__(self, lane: object) -> bool:
        return lane in self._all

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def finished(self) -> bool:
        """True once no frame will come from any lane."""
        return not (self._ready or self._patient) and all(lane.finished for lane in self._all)

    @property
    def patience(self) -> bool:
        """True while a frame waits that only a larger batch would take along."""
        return bool(self._patient)

    def waiting(self, most: int) -> int:
        """The number of frames that wait, counted to `most` or a bit more."""
        count = 0
        for lane in chain(self._ready, self._patient):
            if count >= most:
                break
            count += lane.waiting
        return count

    def next(self) -> Lane | None:
        """Take the lane whose turn it is out of its queue; `again` puts it back. None: all are
        dry."""
        if not self._patient:
            self._owed = 0.0
        elif not self._ready or self._owed >= 1:
            self._owed = max(self._owed - 1, 0.0)
            return self._patient.popleft()
        else:
            self._owed += PATIENT_SHARE
        return self._ready.popleft() if self._ready else None

    def again(self, lane: Lane) -> None:
        """Put a lane that has given a frame back into its queue, if it has more."""
        self.present.add(lane)
        if lane.waiting:
            self._all[lane].append(lane)


@dataclass(slots=True)
class _Batch:
    frames: list[Frame] = field(default_factory=list)
    came_s: list[float] = field(default_factory=list)
    given: set[Lane] = field(default_factory=set)
    """The lanes that have given a frame to the batch."""


def _key(frames: list[Frame]) -> tuple[str, int]:
    return frames[0].info.stream_id, frames[0].info.seq


class Batcher:
    """The taker of batches from `lanes`; one consumer at a time.

    Policy without a plan, in order:

    1. One frame per lane and turn. The turn goes on after the lane served last, over batches too:
       between two lanes that always have frames, the served counts differ by at most one.
    2. Frames that wait are taken at once, up to `size`: under load batches fill by themselves. Of
       `threads` that take batches in turn, each takes no more than its share of what waits.
    3. A batch below `size` waits at most `within_s` after its first frame, and only for lanes that
       have given nothing to it: the next frame of a camera just served is a frame period away, and
       waiting for it would be pure delay.
    4. A lane that let a deadline pass is absent, and not waited for until it gives a frame again.

    With a plan of `pacer` a batch waits for whatever comes, until it has as many frames as planned
    or its oldest frame must start. Streams in a hurry come first; patient ones fill the batch, and
    have at least every fifth place while they wait.

    `condition` is shared: lanes notify it at every put and close, whoever adds or removes lanes
    holds it and notifies. Its lock must be re-entrant (`threading.Condition()` is).
    """

    def __init__(
        self,
        condition: threading.Condition,
        size: int,
        within_s: float,
        clock: Clock | None = None,
        pacer: Pacer | None = None,
        threads: int = 1,
    ) -> None:
        if size < 1 or within_s < 0:
            raise ValueError(f"Batcher: size {size} must be >= 1 and within_s {within_s} >= 0")
        self._condition = condition
        self._size, self._within_s, self._threads = size, within_s, threads
        self._clock = clock or SystemClock()
        self._pacer = pacer
        self._turn = Turn()
        self._flights: deque[Flight] = deque()
        self.lanes = Lanes(hurry=pacer is not None and pacer.plan is not None)

    def take(self) -> list[Frame]:
        """Block until there is a frame, then gather up to `size` by the policy above.

        Lanes may be added and removed meanwhile. Gives [] when all lanes are finished, or there are
        none. `handed_on` is to follow for every other batch.
        """
        with self._condition:
            batch = _Batch()
            plan = self._gather(batch)
            while not batch.frames and not self.lanes.finished:
                self._condition.wait()
                plan = self._gather(batch)
            if batch.frames:
                if plan is None:
                    self._await_lanes(batch)
                else:
                    self._await_frames(batch, plan)
                self._depart(batch)
            return batch.frames

    def computed(self, batch: list[Frame]) -> None:
        """Note that the engine is done with this batch that `take` gave. Any thread."""
        with self._condition:
            for flight in self._flights:
                if flight.key == _key(batch):
                    flight.computed_s = self._clock.monotonic_s()

    def handed_on(self) -> None:
        """Note that the results of the oldest batch on its way went on. Any thread."""
        with self._condition:
            flight = self._flights.popleft()
            if self._pacer is not None:
                self._pacer.handed_on(flight, self._clock.monotonic_s())

    def _depart(self, batch: _Batch) -> None:
        turn, now_s = self._turn, self._clock.monotonic_s()
        frames = batch.frames
        self._flights.append(Flight(_key(frames), len(frames), now_s, batch.came_s, turn.late))
        turn.before_s, turn.late = now_s, 0

    def _await_lanes(self, batch: _Batch) -> None:
        lanes, deadline_s = self.lanes, self._clock.monotonic_s() + self._within_s
        while len(batch.frames) < self._size and self._awaited(batch.given):
            left_s = deadline_s - self._clock.monotonic_s()
            if left_s <= 0:
                lanes.present &= batch.given
                return
            self._condition.wait(left_s)
            self._gather(batch)

    def _awaited(self, given: set[Lane]) -> bool:
        present = self.lanes.present
        for lane in () if len(present) <= len(given) else list(present):
            if lane not in given:
                if not lane.finished:
                    return True
                present.discard(lane)
        return False

    def _await_frames(self, batch: _Batch, plan: Plan) -> None:
        if not batch.came_s or plan.within_s <= 0:
            return
        deadline_s = min(batch.came_s) + plan.within_s
        while len(batch.frames) < plan.size:
            left_s = deadline_s - self._clock.monotonic_s()
            if left_s <= 0 or self.lanes.finished:
                return
            self._condition.wait(left_s)
            self._gather(batch, plan)

    def _gather(self, batch: _Batch, plan: Plan | None = None) -> Plan | None:
        """Take turns until the batch is full or the lanes are dry."""
        lanes, turn = self.lanes, self._turn
        if plan is None and self._pacer is not None:
            plan = self._pacer.plan
        size = self._size
        if plan is not None:
            size = plan.full_size if lanes.patience else plan.size
            turn.longest_age_s = plan.longest_age_s
        elif self._threads > 1:
            waiting = len(batch.frames) + lanes.waiting(size * self._threads)
            size = min(size, -(-waiting // self._threads))
        turn.now_s = self._clock.monotonic_s()
        while len(batch.frames) < size and (lane := lanes.next()) is not None:
            given = lane.give(turn)
            if given is not None:
                batch.frames.append(given[0])
                batch.given.add(lane)
                if not lane.patient:
                    batch.came_s.append(given[1])
                lanes.again(lane)
        return plan
