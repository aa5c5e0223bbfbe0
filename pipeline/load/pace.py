"""Batches that keep a target of latency: how large, and how long a frame may wait for others.

No thread in here. `docs/load.md` explains it to users.

The latency of a frame is counted from its coming into its lane, decoded, until its detections are
handed to the publish thread. In it are the wait for a batch, pre-processing, the engine,
suppression and a full inbox; decoding is before it, tracking and delivery are behind it.

With t(n) the time of a batch of n frames as `EngineTimes` knows it, s its spread, L the frames a
second of live streams, and T the target, less what results wait behind the engine (for batches that
were taken before them, or for room in the inbox):

- A frame that comes as a batch starts waits for it and then for its own: n is at most the largest
  with t(n) + s t(n) <= T.
- The engine should have room: n is the smallest whose share of its time, L t(n) / n, is at most
  `EASY_SHARE`; where none is, the smallest that costs hardly more than the cheapest. So batches
  grow with the load, and no frame waits for others as long as the engine has nothing to gain.
- Where even the cheapest would fill more than `FULL_SHARE` of its time, larger batches pay if more
  frames are in time then, though some are not: of those that come while a batch of n is computed,
  the last T - s t(n) of t(n) are.
- If one frame does not fit twice, T is taken to be what two need: nothing is planned that would not
  be held by an engine at rest.
- A batch below n starts when its oldest frame is `WAIT_SHARE` of T - s t(n) old, or when n frames
  should long have come.
- A frame older than T - s t(n) could not be in time and is dropped as `late`, unless its stream has
  its own `max_age_ms`; what is lost makes `pipeline.load.load` leave out frames by priority.

Until the engine is known, batches take what waits, and no frame is too old for the target.
"""

from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import Final

from pipeline.account import LatencyReport
from pipeline.config import BatchConfig
from pipeline.core.clock import Clock
from pipeline.core.log import get_logger
from pipeline.load.engine_times import RECENT, EngineTimes
from stages.batch import Flight, Plan

log = get_logger(__name__)

PLAN_S: Final = 0.25
"""The time between two plans."""
RATE_S: Final = 1.0
"""The time constant with which the measured arrival rate follows."""
EASY_SHARE: Final = 0.5
"""The share of the engine's time that frames may fill before batches grow: half is room."""
FULL_SHARE: Final = 0.85
"""The share of the engine's time above which throughput counts, though some frames are late."""
CHEAP: Final = 1.05
"""The factor within which a batch size, for each frame, is as good as the cheapest."""
WAIT_SHARE: Final = 0.8
"""The share of a frame's spare time that it may wait for others; the rest is a margin."""
GATHER: Final = 1.5
"""The factor on the time in which n frames should come, which is how long they are waited for."""
JUDGE_S: Final = 1.0
"""The time between two judgements of whether the target is held."""
MISSED_SHARE: Final = 0.02
"""The share of a second's frames that may miss the target; with more in two seconds running, it is
not held."""
HOLDS_AFTER_S: Final = 5.0
"""The time without too many misses after which the target is held again."""
ALONE_S: Final = 60.0
"""The time without a live frame after which files have the engine for themselves."""
WINDOW_S: Final = 10.0
"""The time over which the report looks back, at most `WINDOW` batches."""
WINDOW: Final = 1024
"""The most batches that the report keeps: 10 s of about a hundred a second."""


@dataclass(slots=True)
class _Count:
    """The counts of live streams' frames since the last judgement."""

    handed_on: int = 0
    missed: int = 0
    late: int = 0


class Pace:
    """Plans batches for a target, and tells whether it is held; a `stages.batch.Pacer`.

    The batcher calls it, one thread at a time; `report` is for any thread. Without a target it
    only measures. `threads`: how many batches the engine does beside each other.
    """

    def __init__(
        self, target_s: float | None, size: int, clock: Clock, *, threads: int = 1
    ) -> None:
        self._target_s, self._size, self._threads = target_s, size, threads
        self._times = EngineTimes()
        self._fps = 0.0
        self._planned_s = self._judged_s = clock.monotonic_s()
        self._came, self._live_s = 0, -float("inf")
        self._landed: deque[tuple[float, int, list[float]]] = deque(maxlen=WINDOW)
        """(second, frames, latencies in s of the live ones) of the last batches."""
        self._behind_s: deque[float] = deque(maxlen=RECENT)
        self._now, self._bad, self._good_s = _Count(), 0, 0.0
        self._told = LatencyReport(target_ms=None if target_s is None else target_s * 1000)
        self._plan: Plan | None = None
        if target_s is not None:
            self._plan = Plan(size, size, 0.0, float("inf"))

    @classmethod
    def of(cls, batch: BatchConfig, clock: Clock, threads: int) -> "Pace":
        """The pace that the section `batch` asks for; `threads` as for the constructor."""
        target_ms = batch.latency_target_ms
        target_s = None if target_ms is None else target_ms / 1000
        return cls(target_s, batch.size, clock, threads=threads)

    @property
    def plan(self) -> Plan | None:
        """The plan of the next batch, see `stages.batch.Pacer`. None: there is no target."""
        return self._plan

    @property
    def capacity_fps(self) -> float | None:
        """The frames a second that the engine does in batches that keep the target; None: no
        target, or nothing is known yet."""
        if self._plan is None or not self._times.sure:
            return None
        size = self._plan.full_size
        return size * self._threads / max(self._times.expected_s(size), 1e-9)

    def handed_on(self, flight: Flight, now_s: float) -> None:
        """Note a batch that was handed on, see `stages.batch.Pacer`; now and then plan anew."""
        computed_s = flight.computed_s or now_s
        self._times.note(flight.frames, computed_s - flight.taken_s, now_s)
        self._behind_s.append(now_s - computed_s)
        came, now = flight.came_s, self._now
        latencies_s = [now_s - came_s for came_s in came]
        self._landed.append((now_s, flight.frames, latencies_s))
        self._came += len(came) + flight.late
        now.handed_on += len(came)
        now.late += flight.late
        if came:
            self._live_s = now_s
        if self._target_s is None:
            return
        target_s = self._target_s
        now.missed += sum(latency_s > target_s for latency_s in latencies_s)
        if now_s - self._planned_s >= PLAN_S:
            self._measure_rate(now_s)
            self._times.learn(now_s)
            if self._times.sure:
                self._plan = self._make_plan(target_s)
        if now_s - self._judged_s >= JUDGE_S:
            self._judge(target_s, now_s)

    def report(self) -> LatencyReport:
        """The latencies and the plan as of now. Any thread."""
        told, plan = self._told, self._plan
        landed = list(self._landed)
        landed = [batch for batch in landed if batch[0] >= landed[-1][0] - WINDOW_S]
        ordered = sorted(latency_s for _, _, latencies_s in landed for latency_s in latencies_s)
        p50, p95, p99 = (
            1000 * ordered[round(share * (len(ordered) - 1))] if ordered else 0.0
            for share in (0.5, 0.95, 0.99)
        )
        mean_size = sum(frames for _, frames, _ in landed) / max(len(landed), 1)
        return LatencyReport(
            target_ms=told.target_ms, frames=len(ordered), p50_ms=p50, p95_ms=p95, p99_ms=p99,
            in_time=told.in_time + self._now.handed_on - self._now.missed,
            missed=told.missed + self._now.missed, late=told.late + self._now.late,
            holds=told.holds, times=told.times, arrivals_fps=self._fps, mean_size=mean_size,
            size=plan.size if plan else self._size,
            within_ms=plan.within_s * 1000 if plan else None,
            one_frame_ms=1000 * self._times.expected_s(1), spread=self._times.spread,
        )  # fmt: skip

    def _measure_rate(self, now_s: float) -> None:
        elapsed_s = now_s - self._planned_s
        weight = min(elapsed_s / RATE_S, 1.0)
        self._fps += weight * (self._came / elapsed_s - self._fps)
        self._planned_s, self._came = now_s, 0

    def _make_plan(self, target_s: float) -> Plan:
        times, fps = self._times, self._fps
        target_s = max(target_s - median(self._behind_s), times.expected_s(1) + times.most_s(1))
        full = self._full_size(target_s)
        size = next((n for n in range(1, full) if self._share(n) <= EASY_SHARE), full)
        latest_s = max(target_s - times.most_s(size), 0.0)
        gather_s = GATHER * (size - 1) / fps if fps > 0 else 0.0
        if self._planned_s - self._live_s > ALONE_S:
            full = self._size
        return Plan(size, full, min(WAIT_SHARE * latest_s, gather_s), latest_s)

    def _full_size(self, target_s: float) -> int:
        """The batch size for an engine that has no room."""
        times = self._times
        each_s = [times.expected_s(n) / n for n in range(1, self._size + 1)]
        in_time = [
            min(max(target_s / times.expected_s(n) - times.spread, 0.0), 1.0)
            for n in range(1, self._size + 1)
        ]
        in_time[0] = 1.0
        least_s = min(each for each, share in zip(each_s, in_time, strict=True) if share == 1)
        cheap = next(n for n, each in enumerate(each_s, 1) if each <= CHEAP * least_s)
        if self._share(cheap) <= FULL_SHARE:
            return cheap
        good = [share / each for share, each in zip(in_time, each_s, strict=True)]
        return next(n for n, fps in enumerate(good, 1) if fps * CHEAP >= max(good))

    def _share(self, size: int) -> float:
        """The share of the engine's time that all frames take in batches of that size."""
        return self._fps * self._times.expected_s(size) / (size * self._threads)

    def _judge(self, target_s: float, now_s: float) -> None:
        now, told = self._now, self._told
        elapsed_s, self._judged_s, self._now = now_s - self._judged_s, now_s, _Count()
        told.in_time += now.handed_on - now.missed
        told.missed += now.missed
        told.late += now.late
        share = (now.missed + now.late) / max(now.handed_on + now.late, 1)
        is_bad = share > MISSED_SHARE and self._times.sure
        self._bad = self._bad + 1 if is_bad else 0
        self._good_s = 0.0 if is_bad else self._good_s + elapsed_s
        if told.holds and self._bad >= 2:
            told.holds, told.times = False, told.times + 1
            log.warning("%s", self._why(target_s, share))
        elif not told.holds and self._good_s >= HOLDS_AFTER_S:
            told.holds = True
            log.info("batch.latency_target_ms %g is held again", target_s * 1000)

    def _why(self, target_s: float, share: float) -> str:
        one_ms = 1000 * self._times.expected_s(1)
        what = f"batch.latency_target_ms {target_s * 1000:g} is not held: {share:.0%} of the frames"
        if self._times.most_s(1) > target_s:
            return f"{what} are not in time, for one alone takes {one_ms:.0f} ms: raise the target"
        return (
            f"{what} are not in time: {self._fps:.0f} a second come, and one alone takes "
            f"{one_ms:.0f} ms; streams give way by priority, or raise the target"
        )
