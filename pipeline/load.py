"""What gives way when streams ask for more than the engine does. No thread in here.

`docs/load.md` explains the order to users.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from pipeline.core.clock import Clock
from pipeline.core.log import get_logger
from pipeline.pace import Pace
from pipeline.telemetry import LoadReport, LoadStage

log = get_logger(__name__)

INTERVAL_S: Final = 1.0
"""How often the load is judged."""
BUSY_SHARE: Final = 0.9
"""An engine that works for such a share of the time is saturated, if frames are lost too."""
LOST_SHARE: Final = 0.02
"""Of the frames that were let through; fewer are hiccups."""
SATURATED_INTERVALS: Final = 2
TARGET_SHARE: Final = 0.95
"""Of what the engine did while it was saturated: this much is let through."""
COLD_S: Final = 3.0
"""From the end of the first batch: what is lost before says nothing of the engine's speed."""
RECOVER_SHARE: Final = 0.9
"""A way back is taken as far as it leaves the engine with no more than this."""
HOLD_S: Final = 5.0
LONGEST_HOLD_S: Final = 60.0
TRY_AGAIN_S: Final = 300.0
"""After so long without a loss a step back is tried whatever the measurements say."""

GOLDEN: Final = (math.sqrt(5) - 1) / 2
"""Its multiples lie apart from each other, modulo 1, however many there are."""
SKIPPED: Final = (9 / 10, 4 / 5, 7 / 10, 3 / 5, 1 / 2)
SLOWED: Final = (
    2 / 5, 1 / 3, 1 / 4, 1 / 5, 1 / 6, 1 / 8, 1 / 10, 1 / 12, 1 / 16, 1 / 20, 1 / 24, 1 / 32, 0.0,
)  # fmt: skip
BELOW_FLOOR: Final = (1 / 2, 1 / 4, 1 / 8, 0.0)


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of the order: what each class of priority keeps, the lowest class first.

    `shares` of its frames, but no fewer than its floor; `floors` is what is left of that floor.
    """

    stage: LoadStage
    shares: tuple[float, ...]
    floors: tuple[float, ...]


@cache
def ladder(classes: int) -> tuple[Rung, ...]:
    """The whole order for so many classes of priority; the first rung lets everything through.

    Every rung lets through no more than the one before it, of any class. The highest class is
    never taken below its floor.
    """
    shares, floors = [1.0] * classes, [1.0] * classes
    rungs = [Rung("full", tuple(shares), tuple(floors))]
    stages: tuple[tuple[LoadStage, tuple[float, ...], list[float], int], ...] = (
        ("skip", SKIPPED, shares, classes),
        ("slow", SLOWED, shares, classes),
        ("below_floor", BELOW_FLOOR, floors, classes - 1),
    )
    for stage, values, row, count in stages:
        for place in range(count):
            for value in values:
                row[place] = value
                rungs.append(Rung(stage, tuple(shares), tuple(floors)))
    return tuple(rungs)


class Gate:
    """Lets through a share of one stream's frames, evenly: the rest never waits for the engine.

    `admit` is called for every frame, by one thread; `lost` is counted where a frame that was let
    through is dropped for load after all, and `late` as well if it was too old. `Load` reads them
    and sets `keep`, from another thread.
    """

    def __init__(self, stream_id: str, priority: int, min_fps: float) -> None:
        self.stream_id, self.priority, self.min_fps = stream_id, priority, min_fps
        self.keep = 1.0
        """Share of the frames that is let through, 0 to 1."""
        self.rate_fps = 0.0
        """Frames a second that come, let through or not."""
        self.offered = self.admitted = self.lost = self.late = 0
        self.phase = 0.0
        """Credit to begin with, 0 to 1: gates of other phases let other frames through."""
        self._credit = 0.0
        self._before = (0, 0, 0, 0)
        self._measured = False

    def admit(self) -> bool:
        """Is this frame let through? Of any n in a row, keep * n are, give or take one."""
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

    def measure(self, elapsed_s: float) -> tuple[int, int, int]:
        """Frames let through, lost behind the gate, and of those too late, in the `elapsed_s` since
        the last call."""
        now = (self.offered, self.admitted, self.lost, self.late)
        offered, admitted, lost, late = (a - b for a, b in zip(now, self._before, strict=True))
        self._before = now
        fps = offered / elapsed_s
        self.rate_fps = (self.rate_fps + fps) / 2 if self._measured else fps
        self._measured = True
        return admitted, lost, late

    def kept(self, share: float, of_floor: float) -> float:
        """What a rung means for this stream: the share of its frames to let through."""
        floor = min(1.0, self.min_fps / self.rate_fps) if self.rate_fps > 0 else 1.0
        return max(share, floor) * of_floor


class Load:
    """Judges once a second whether the engine keeps up, and sets the gates.

    The detect thread calls `worked` and `judge` after every batch; `report` is for any thread.

    Down: in two intervals one after the other the engine was busy and lost frames, or, with a
    `pace` that has a target, frames were too late for it whether or not it was busy. So many rungs
    are taken that what is let through fits what the engine did, but at most half is given up at
    once. Up: after some seconds without losses, as far as the engine will have room, but at most to
    twice as much at once. A step up that turns out wrong doubles those seconds.
    """

    def __init__(self, clock: Clock, pace: Pace | None = None) -> None:
        self._clock, self._pace = clock, pace
        self._judged_s = self._changed_s = clock.monotonic_s()
        self._frames, self._busy_s = 0, 0.0
        self._began_work_s: float | None = None
        self._depth, self._hold_s = 0, HOLD_S
        self._classes: list[int] = []
        self._saturated, self._calm_s = 0, 0.0
        self._engine_fps = 0.0
        self._began_s, self._degraded_s = 0.0, 0.0
        self._told: LoadStage = "full"
        self._now = LoadReport()

    def worked(self, frames: int, busy_s: float) -> None:
        """The engine, and all that it waits for behind it, took `busy_s` for a batch."""
        if self._began_work_s is None:  # an engine makes itself ready in its first batch
            self._began_work_s = self._clock.monotonic_s()
            return
        self._frames += frames
        self._busy_s += busy_s

    @property
    def due(self) -> bool:
        """Whether an interval is over, so that `judge` has something to do."""
        return self._clock.monotonic_s() - self._judged_s >= INTERVAL_S

    def judge(self, gates: Sequence[Gate], others: int = 0) -> None:
        """Look at the interval, if one is over. `others`: streams that are never degraded, and take
        their turns at the engine between those of the gates."""
        now_s = self._clock.monotonic_s()
        elapsed_s = now_s - self._judged_s
        if elapsed_s < INTERVAL_S:
            return
        self._judged_s = now_s
        counts = [gate.measure(elapsed_s) for gate in gates]
        admitted, lost, late = (sum(count[place] for count in counts) for place in range(3))
        self._note_classes(gates)
        losing = lost > LOST_SHARE * admitted
        self._calm_s = 0.0 if losing else self._calm_s + elapsed_s
        capacity_fps = self._pace.capacity_fps if self._pace is not None else None
        busy = self._measure_engine(elapsed_s, capacity_fps, losing=losing)
        too_late = capacity_fps is not None and late > LOST_SHARE * admitted
        is_warm = self._began_work_s is not None and now_s - self._began_work_s > COLD_S
        saturated = is_warm and losing and (busy or too_late)
        self._saturated = self._saturated + 1 if saturated else 0
        if self._saturated >= SATURATED_INTERVALS:
            self._go_down(gates, max(admitted - lost, 0) / elapsed_s)
        elif self._depth > 0:
            self._go_up(gates, others)
        self._apply(gates)

    def _measure_engine(
        self, elapsed_s: float, capacity_fps: float | None, *, losing: bool
    ) -> bool:
        """How much it can do, by its target or by what it did. Was it busy?"""
        busy = self._busy_s / elapsed_s >= BUSY_SHARE
        fps = self._frames / self._busy_s if self._busy_s > 0 else 0.0
        self._frames, self._busy_s = 0, 0.0
        least_fps = 0.0 if losing and busy else self._engine_fps
        self._engine_fps = max(least_fps, fps) if capacity_fps is None else capacity_fps
        return busy

    def report(self) -> LoadReport:
        """As of now."""
        report = self._now
        since_s = self._clock.monotonic_s() - self._began_s if report.degraded else 0.0
        return LoadReport(
            report.stage, report.since_ns, dict(report.keep), report.times,
            self._degraded_s + since_s,
        )  # fmt: skip

    def _note_classes(self, gates: Sequence[Gate]) -> None:
        """With streams of other priorities the order is another one: find the place in it that lets
        as much through."""
        classes = sorted({gate.priority for gate in gates})
        if classes == self._classes:
            return
        self._classes = classes
        now_fps = sum(gate.rate_fps * gate.keep for gate in gates)
        depths = range(len(_rungs(gates)))
        fitting = (d for d in depths if self._let_through(gates, d) <= now_fps + 1e-9)
        self._depth = next(fitting, depths[-1])

    def _go_down(self, gates: Sequence[Gate], served_fps: float) -> None:
        now_fps = self._let_through(gates, self._depth)
        target_fps = max(TARGET_SHARE * served_fps, now_fps / 2)
        depth, last = self._depth, len(_rungs(gates)) - 1
        while depth < last and self._let_through(gates, depth) > target_fps:
            depth += 1
        if depth == self._depth:
            return
        now_s = self._clock.monotonic_s()
        wrong = self._depth > 0 and now_s - self._changed_s < 2 * self._hold_s
        self._hold_s = min(2 * self._hold_s, LONGEST_HOLD_S) if wrong else self._hold_s
        self._depth, self._changed_s = depth, now_s
        self._saturated, self._calm_s = 0, 0.0

    def _go_up(self, gates: Sequence[Gate], others: int) -> None:
        """As many rungs as fit, at most to twice what passes now; at least one that makes a
        difference, or all the way where none does."""
        now_fps, depth = self._let_through(gates, self._depth), self._depth
        while depth > 0 and self._let_through(gates, depth) <= now_fps:
            depth -= 1
        room = RECOVER_SHARE * self._engine_fps * len(gates) / max(len(gates) + others, 1)
        fits = self._let_through(gates, depth) <= room
        if not (fits and self._calm_s >= self._hold_s) and self._calm_s < TRY_AGAIN_S:
            return
        most_fps = min(room, 2 * now_fps)
        while depth > 0 and self._let_through(gates, depth - 1) <= most_fps:
            depth -= 1
        self._depth, self._changed_s = depth, self._clock.monotonic_s()
        self._calm_s = 0.0

    def _let_through(self, gates: Sequence[Gate], depth: int) -> float:
        keeps = _keeps(gates, depth)
        return sum(gate.rate_fps * keep for gate, keep in zip(gates, keeps, strict=True))

    def _apply(self, gates: Sequence[Gate]) -> None:
        rungs = _rungs(gates)
        for place, (gate, keep) in enumerate(zip(gates, _keeps(gates, self._depth), strict=True)):
            gate.phase = place * GOLDEN % 1  # cameras of one rate must not all pass at once
            gate.keep = keep
        left = {gate.stream_id: gate.keep for gate in gates if gate.keep < 1}
        self._tell(rungs[self._depth].stage, left)

    def _tell(self, stage: LoadStage, keep: dict[str, float]) -> None:
        """Warn once, when it begins and when a later stage is reached; not at every rung."""
        before, since_ns, times = self._now, self._now.since_ns, self._now.times
        now_s = self._clock.monotonic_s()
        if stage != "full" and not before.degraded:
            self._began_s, since_ns, times = now_s, self._clock.utc_ns(), times + 1
        if stage == "full" and before.degraded:
            self._degraded_s += now_s - self._began_s
            log.info(
                "the engine keeps up again after %.0f s: all frames pass", now_s - self._began_s
            )
            since_ns, self._told, self._hold_s = None, "full", HOLD_S
        self._now = LoadReport(stage, since_ns, keep, times)
        if _ORDER.index(stage) > _ORDER.index(self._told):
            self._told = stage
            log.warning(
                "the engine does %.1f frames a second and more come: %s (%s)",
                self._engine_fps,
                _WORDS[stage],
                ", ".join(f"{name} {share:.0%}" for name, share in sorted(keep.items())),
            )


_ORDER: Final[tuple[LoadStage, ...]] = ("full", "skip", "slow", "below_floor")
_WORDS: Final[dict[LoadStage, str]] = {
    "skip": "frames are skipped, lowest priority first",
    "slow": "frame rates are lowered towards min_fps, lowest priority first",
    "below_floor": "even min_fps of all is too much, and the lowest priorities get less",
}


def _rungs(gates: Sequence[Gate]) -> tuple[Rung, ...]:
    return ladder(len({gate.priority for gate in gates}))


def _keeps(gates: Sequence[Gate], depth: int) -> list[float]:
    """What every gate keeps at a depth of the order."""
    rungs = _rungs(gates)
    rung = rungs[depth]
    places = {value: place for place, value in enumerate(sorted({g.priority for g in gates}))}
    return [
        gate.kept(rung.shares[places[gate.priority]], rung.floors[places[gate.priority]])
        for gate in gates
    ]
