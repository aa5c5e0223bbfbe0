"""What must hold of a soak, and whether it did."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.soak.cameras import CAP_S
from benchmarks.soak.process import Sample
from benchmarks.soak.run import Outage, Run
from benchmarks.soak.trend import Trend, medians, theil_sen

MOST_MB_PER_HOUR = 1.0
BACK_WITHIN_S = CAP_S + 5
WINDOW_S = 60.0
JUDGED_FROM_S = 900.0
"""A shorter run says nothing of a slope per hour."""
SHORTEST_WARM_UP_S = 300.0
WARM_UP_SHARE = 1 / 3


@dataclass(frozen=True, slots=True)
class Bar:
    """One thing that must hold. `passed` None: the run is too short to tell."""

    name: str
    passed: bool | None
    found: str


@dataclass(frozen=True, slots=True)
class Relapse:
    """A stream that went down although its camera was well and had recovered."""

    camera: str
    at_s: float
    reason: str
    back_after_s: float | None


def warm_up_s(samples: Sequence[Sample]) -> float:
    """Until then, caches, pools and the allocator fill up to what the worst moments need: the first
    third of the run, and at least five minutes. It is fixed before the run, not read off it."""
    return max(SHORTEST_WARM_UP_S, samples[-1].at_s * WARM_UP_SHARE)


def memory_trend(samples: Sequence[Sample]) -> Trend | None:
    """Of the resident set after the warm-up, in MB per hour, from the medians of minutes. None: the
    run is too short."""
    if not samples or samples[-1].at_s < JUDGED_FROM_S:
        return None
    steady = [s for s in samples if s.at_s >= warm_up_s(samples)]
    times, values = medians([s.at_s for s in steady], [s.rss_mb for s in steady], WINDOW_S)
    return theil_sen([time / 3600 for time in times], values)


def relapses(run: Run) -> list[Relapse]:
    """Of all streams."""
    found = []
    for stream in run.ledger.streams.values():
        faults = [o for o in run.outages if o.camera == stream.stream_id]
        for number, (at_s, reason) in enumerate(stream.downs):
            if any(_within(fault, at_s) for fault in faults):
                continue
            back = stream.backs[number] - at_s if number < len(stream.backs) else None
            found.append(Relapse(stream.stream_id, at_s, reason, back))
    return found


def _within(fault: Outage, at_s: float) -> bool:
    over_s = fault.ended_s + (fault.back_after_s or float("inf"))
    return fault.began_s <= at_s <= over_s


def judge(run: Run) -> list[Bar]:
    """All bars of a run."""
    assert run.at_start is not None
    assert run.at_end is not None
    start, end = run.at_start, run.at_end
    return [
        _memory(run.samples),
        _flat("threads", start.threads, end.threads, [s.threads for s in run.samples]),
        _flat(
            "descriptors", start.descriptors, end.descriptors, [s.descriptors for s in run.samples]
        ),
        _account(run),
        _recovery(run),
        Bar("exit", run.exit_code == 0, f"code {run.exit_code}, {run.stop_s:.1f} s after SIGTERM"),
    ]


def failed_names(bars: Sequence[Bar]) -> list[str]:
    """Of the bars that do not hold."""
    return [bar.name for bar in bars if bar.passed is False]


def _memory(samples: Sequence[Sample]) -> Bar:
    trend = memory_trend(samples)
    if trend is None:
        return Bar("memory", None, f"not judged below {JUDGED_FROM_S / 60:.0f} minutes")
    found = (
        f"{trend.slope:+.2f} MB/h (95 %: {trend.low:+.2f} to {trend.high:+.2f})"
        f" after {warm_up_s(samples) / 60:.0f} minutes of warm-up"
    )
    return Bar("memory", trend.slope < MOST_MB_PER_HOUR, found)


def _flat(name: str, start: int, end: int, seen: Sequence[int]) -> Bar:
    found = f"{start} before the first fault, {end} after the last, at most {max(seen)} between"
    return Bar(name, end <= start, found)


def _account(run: Run) -> Bar:
    breaks = run.ledger.breaks
    checked = sum(stream.checked for stream in run.ledger.streams.values())
    found = f"held at {checked} frames and at {len(run.ledger.streams)} ends"
    return Bar("account", not breaks, "; ".join(breaks) or found)


def _recovery(run: Run) -> Bar:
    """Also where no fault was: a stream that goes down must come back as soon."""
    late = [
        f"{o.camera} after {o.kind} at {o.began_s:.0f} s: {_seconds(o.back_after_s)}"
        for o in run.outages
        if o.back_after_s is None or o.back_after_s > BACK_WITHIN_S
    ]
    again = relapses(run)
    late += [
        f"{r.camera}, well, went down at {r.at_s:.0f} s ({r.reason}): {_seconds(r.back_after_s)}"
        for r in again
        if r.back_after_s is None or r.back_after_s > BACK_WITHIN_S
    ]
    if late:
        return Bar("recovery", False, "; ".join(late))
    slowest = max((o.back_after_s or 0.0 for o in run.outages), default=0.0)
    found = f"{len(run.outages)} faults, the slowest {slowest:.1f} s after its end"
    return Bar("recovery", bool(run.outages), f"{found}, {len(again)} went down again while well")


def _seconds(back_after_s: float | None) -> str:
    return "never came back" if back_after_s is None else f"back after {back_after_s:.1f} s"
