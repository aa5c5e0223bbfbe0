"""The judgement of the engine's load, and how many frames pass when streams bring more than it
does. No thread in here.

`docs/load.md` explains it to users.
"""

from collections.abc import Sequence
from math import isclose
from typing import Final

from pipeline.account import LoadReport, LoadStage
from pipeline.core.clock import Clock
from pipeline.core.log import get_logger
from pipeline.load.gate import GOLDEN, Gate, opening
from pipeline.load.pace import Pace

log = get_logger(__name__)

INTERVAL_S: Final = 1.0
"""The interval between two judgements of the load."""
BUSY_SHARE: Final = 0.9
"""The share of time from which on an engine is busy: saturated, if frames are lost too."""
LOST_SHARE: Final = 0.02
"""The share of the frames let through that must be lost to count; fewer are hiccups."""
SATURATED_INTERVALS: Final = 2
"""Saturated intervals in a row until streams begin to give way; from then on one is enough."""
TARGET_SHARE: Final = 0.95
"""The share of the engine's speed that is let through: the rest is for its hiccups."""
BACKLOG_S: Final = 0.25
"""The most work of the engine that may wait as frames, but for one frame a stream."""
DRAIN_S: Final = 2.0
"""The time in which frames that wait beyond `BACKLOG_S` are to be worked off."""
COLD_S: Final = 3.0
"""The time from the end of the first batch in which losses say nothing of the engine's speed."""
LEAST_GROWTH: Final = 1.05
"""The smallest factor that is worth a change."""
GROWTH: Final = 1.25
"""The largest factor by which the budget grows from one interval to the next."""
HOLD_S: Final = 2.0
"""The time without losses after which more is let through."""
LONGEST_HOLD_S: Final = 60.0
"""The longest of these times, to which it doubles where a growth was wrong."""
TRY_AGAIN_S: Final = 300.0
"""The time without losses after which more is tried, whatever the measurements say."""


class Load:
    """Judges once a second whether the engine keeps up, and sets the gates.

    The detect thread calls `worked` and `judge` after every batch; `report` is for any thread.

    While all frames pass there is no budget. It begins when in two intervals, one after the other,
    the engine was busy and lost frames, or, with a `pace` that has a target, frames were too late
    for it whether or not it was busy. The budget is what the engine did then, less what it takes to
    work off the frames that wait, but at least half of what passed before, and all floors where the
    engine does as much. Without losses and
    without a backlog it grows towards what the engine has shown it can do; where a growth turns out
    wrong, the next one is waited for twice as long. It ends when all frames fit.
    """

    def __init__(self, clock: Clock, pace: Pace | None = None) -> None:
        self._clock, self._pace = clock, pace
        self._judged_s = clock.monotonic_s()
        self._grown_s = -float("inf")
        self._frames, self._busy_s = 0, 0.0
        self._began_work_s: float | None = None
        self._budget_fps: float | None = None
        self._hold_s = HOLD_S
        self._saturated, self._calm_s = 0, 0.0
        self._engine_fps = 0.0
        self._began_s, self._degraded_s = 0.0, 0.0
        self._told: LoadStage = "full"
        self._now = LoadReport()

    def worked(self, frames: int, busy_s: float) -> None:
        """Note that the engine, and all that it waits for behind it, took `busy_s` for a batch."""
        if self._began_work_s is None:  # an engine makes itself ready in its first batch
            self._began_work_s = self._clock.monotonic_s()
            return
        self._frames += frames
        self._busy_s += busy_s

    @property
    def due(self) -> bool:
        """True once an interval is over, so that `judge` has something to do."""
        return self._clock.monotonic_s() - self._judged_s >= INTERVAL_S

    def judge(self, gates: Sequence[Gate], *, waiting: int = 0, others: int = 0) -> None:
        """Judge the interval, if one is over, and set `keep` of the gates. `waiting`: frames of
        these gates that wait for the engine now. `others`: streams that are never degraded, and
        take their turns at the engine between those of the gates."""
        now_s = self._clock.monotonic_s()
        elapsed_s = now_s - self._judged_s
        if elapsed_s < INTERVAL_S:
            return
        self._judged_s = now_s
        counts = [gate.measure(elapsed_s) for gate in gates]
        admitted, lost, late = (sum(count[place] for count in counts) for place in range(3))
        losing = lost > LOST_SHARE * admitted
        capacity_fps = self._pace.capacity_fps if self._pace is not None else None
        busy = self._measure_engine(elapsed_s, capacity_fps, losing=losing)
        too_late = capacity_fps is not None and late > LOST_SHARE * admitted
        backlog = max(waiting - max(BACKLOG_S * self._engine_fps, len(gates)), 0.0)
        self._calm_s = 0.0 if losing or backlog else self._calm_s + elapsed_s
        if self._calm_s > LONGEST_HOLD_S:
            self._hold_s = HOLD_S
        is_warm = self._began_work_s is not None and now_s - self._began_work_s > COLD_S
        if is_warm and losing and (busy or too_late):
            self._shrink(gates, max(admitted - lost, 0) / elapsed_s, backlog)
        elif self._budget_fps is None:
            self._saturated = 0
        else:
            self._grow(gates, self._budget_fps, others)
        self._apply(gates)

    def _measure_engine(
        self, elapsed_s: float, capacity_fps: float | None, *, losing: bool
    ) -> bool:
        """Measure how many frames a second the engine can do -> True if it was busy."""
        busy = self._busy_s / elapsed_s >= BUSY_SHARE
        fps = self._frames / self._busy_s if self._busy_s > 0 else 0.0
        self._frames, self._busy_s = 0, 0.0
        least_fps = 0.0 if losing and busy else self._engine_fps
        self._engine_fps = max(least_fps, fps) if capacity_fps is None else capacity_fps
        return busy

    def report(self) -> LoadReport:
        """The load as of now. Any thread."""
        report = self._now
        since_s = self._clock.monotonic_s() - self._began_s if report.degraded else 0.0
        return LoadReport(
            report.stage, report.since_ns, dict(report.keep), report.times,
            self._degraded_s + since_s,
        )  # fmt: skip

    def _shrink(self, gates: Sequence[Gate], served_fps: float, backlog: float) -> None:
        self._saturated += 1
        if self._budget_fps is None and self._saturated < SATURATED_INTERVALS:
            return
        if self._clock.monotonic_s() - self._grown_s < 2 * self._hold_s:  # that was wrong
            self._hold_s = min(2 * self._hold_s, LONGEST_HOLD_S)
            self._grown_s = -float("inf")
        passing_fps = opening(gates, self._budget).fps(gates)
        floors_fps = sum(min(gate.min_fps, gate.rate_fps) for gate in gates)
        least_fps = floors_fps if floors_fps <= TARGET_SHARE * self._engine_fps else 0.0
        served_fps = TARGET_SHARE * served_fps - backlog / DRAIN_S
        self._budget_fps = max(served_fps, passing_fps / 2, least_fps)

    def _grow(self, gates: Sequence[Gate], budget_fps: float, others: int) -> None:
        """Raise the budget where nothing was lost for a while and the engine has room; end it where
        all frames fit."""
        share = len(gates) / max(len(gates) + others, 1)
        room_fps = TARGET_SHARE * self._engine_fps * share
        if self._calm_s >= TRY_AGAIN_S:
            room_fps = max(room_fps, GROWTH * budget_fps)
        if self._calm_s < self._hold_s or room_fps < LEAST_GROWTH * budget_fps:
            return
        self._grown_s = self._clock.monotonic_s()
        self._budget_fps = min(room_fps, GROWTH * budget_fps)
        if sum(gate.rate_fps for gate in gates) <= self._budget_fps:
            self._budget_fps = None

    @property
    def _budget(self) -> float:
        return float("inf") if self._budget_fps is None else self._budget_fps

    def _apply(self, gates: Sequence[Gate]) -> None:
        """Set the gates to the budget. Rates are never measured twice alike: gates that are open
        nearly as they should be stay so, for trackers like even steps."""
        wanted = opening(gates, self._budget)
        pairs = list(zip(gates, wanted.keeps, strict=True))
        near = all(isclose(gate.keep, keep, rel_tol=LEAST_GROWTH - 1) for gate, keep in pairs)
        if not near or wanted.stage == "full":
            for place, (gate, keep) in enumerate(pairs):
                gate.phase = place * GOLDEN % 1  # cameras of one rate must not all pass at once
                gate.keep = keep
        self._tell(gates, wanted.stage)

    def _tell(self, gates: Sequence[Gate], stage: LoadStage) -> None:
        """Log when giving way begins, reaches a later stage and ends; not every change."""
        keep = {gate.stream_id: gate.keep for gate in gates if gate.keep < 1}
        before = self._now
        since_ns, times, now_s = before.since_ns, before.times, self._clock.monotonic_s()
        if stage != "full" and not before.degraded:
            self._began_s, since_ns, times = now_s, self._clock.utc_ns(), times + 1
        if stage == "full" and before.degraded:
            self._degraded_s += now_s - self._began_s
            log.info(
                "the engine keeps up again after %.0f s: all frames pass", now_s - self._began_s
            )
            since_ns, self._told = None, "full"
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
