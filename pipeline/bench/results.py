"""From rounds to what is told of them: figures of each case, and what they are to each other."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.bench.job import Point
from pipeline.bench.plan import NO_MODEL
from pipeline.bench.process import Turn
from pipeline.bench.rounds import Measured
from pipeline.bench.statistics import Spread, difference, ratio, spread

_PIPELINE, _BARE = "pipeline", f"pipeline, {NO_MODEL}"


@dataclass(frozen=True, slots=True)
class Figures:
    """A case in a table."""

    subject: str
    is_peer: bool
    start_up_s: float
    start_up_cpu_s: float
    fps: Spread
    cpu_ms: Spread
    """CPU time per frame, of the whole process."""
    rss_mb: float
    """Largest resident set, MB of 10^6 bytes."""
    detections: int | None
    """Found in the last round; None: it does not say."""


@dataclass(frozen=True, slots=True)
class Latency:
    """From the sending of a picture to its result, of a live case; ms."""

    subject: str
    p50: Spread
    p95: Spread
    p99: Spread
    delivered: Spread
    """Share of the pictures that have a result."""
    cpu_cores: Spread
    """CPU time a second."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two cases of a point, or a case and a bound, round by round."""

    what: str
    spread: Spread


@dataclass(frozen=True, slots=True)
class PointResult:
    """All that was measured at a point, in one interleaved run."""

    point: Point
    rounds: int
    figures: list[Figures] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    turns: dict[str, list[Turn]] = field(default_factory=dict)
    """The single rounds, by subject."""
    failed: dict[str, str] = field(default_factory=dict)
    """Subjects that have no figures, and why."""


def summarize(point: Point, measured: Sequence[Measured]) -> PointResult:
    """The figures of a point. Cases without a round are in `failed`."""
    result = PointResult(point, max((len(one.turns) for one in measured), default=0))
    for one in measured:
        subject = one.case.subject
        if one.failed is not None or not one.turns:
            result.failed[subject] = one.failed or "not one round"
            continue
        result.turns[subject] = one.turns
        if one.case.job.live:
            result.latencies.append(_latency(one))
        else:
            result.figures.append(_figures(one))
    result.comparisons.extend(_comparisons(result))
    return result


def _figures(one: Measured) -> Figures:
    last = one.turns[-1]
    return Figures(
        subject=one.case.subject,
        is_peer=one.case.job.kind == "peer",
        start_up_s=one.start_up_s,
        start_up_cpu_s=one.start_up_cpu_s,
        fps=spread([turn.fps for turn in one.turns]),
        cpu_ms=spread([turn.cpu_ms_per_frame for turn in one.turns]),
        rss_mb=last.rss_mb,
        detections=last.told.get("detections"),
    )


def _latency(one: Measured) -> Latency:
    told = [turn.told for turn in one.turns]
    p50, p95, p99 = (
        spread([each["latency_ms"][key] for each in told]) for key in ("p50", "p95", "p99")
    )
    delivered = spread([each["delivered"] for each in told])
    cores = spread([turn.cpu_s / turn.wall_s for turn in one.turns])
    return Latency(one.case.subject, p50, p95, p99, delivered, cores)


def _comparisons(result: PointResult) -> list[Comparison]:
    turns = result.turns
    found: list[Comparison] = []
    peers = [f.subject for f in result.figures if f.is_peer]
    with_model = [name for name in peers if not name.endswith(NO_MODEL)]
    if _PIPELINE in turns:
        found += [_times_as_fast(turns, name) for name in with_model]
        if "decode + prepare" in turns and "engine" in turns:
            found.append(_of_bound(turns))
    if "decode" in turns:
        for name in (_BARE, *(name for name in peers if name.endswith(NO_MODEL))):
            if name in turns:
                above = difference(_cpu_ms(turns[name]), _cpu_ms(turns["decode"]))
                found.append(Comparison(f"CPU ms per frame above decode: {name}", above))
    return found


def _times_as_fast(turns: dict[str, list[Turn]], peer: str) -> Comparison:
    times = ratio([t.fps for t in turns[_PIPELINE]], [t.fps for t in turns[peer]])
    return Comparison(f"frames a second, pipeline / {peer}", times)


def _of_bound(turns: dict[str, list[Turn]]) -> Comparison:
    """Frames a second over cores / (CPU time of decoding, preparing and the engine per frame)."""
    parts = zip(_cpu_ms(turns["decode + prepare"]), _cpu_ms(turns["engine"]), strict=True)
    cores = len(os.sched_getaffinity(0))
    bounds = [1000 * cores / (prepare + engine) for prepare, engine in parts]
    share = ratio([t.fps for t in turns[_PIPELINE]], bounds)
    return Comparison("frames a second, pipeline / bound of decode, prepare and engine", share)


def _cpu_ms(turns: Sequence[Turn]) -> list[float]:
    return [turn.cpu_ms_per_frame for turn in turns]
