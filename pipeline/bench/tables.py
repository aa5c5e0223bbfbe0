"""Results as Markdown, for a page or a terminal."""

from collections.abc import Sequence

from pipeline.bench.profiles import Stages
from pipeline.bench.results import Figures, Latency, PointResult
from pipeline.bench.statistics import Spread

_HEAD = (
    "| | frames a second | CPU ms per frame | start-up s | memory MB | detections |\n"
    "| --- | --- | --- | --- | --- | --- |"
)
_LIVE_HEAD = (
    "| cameras of 25 frames a second | latency p50 ms | p95 | p99 | delivered | cores |\n"
    "| --- | --- | --- | --- | --- | --- |"
)


def page(
    machine: dict[str, str], command: str, results: Sequence[PointResult], profiled: Stages
) -> str:
    """All tables, with where and how they were measured."""
    parts = ["# Benchmark", "\n".join(f"- {key}: {value}" for key, value in machine.items())]
    parts.append(f"`{command}`. Medians over rounds; in brackets, their 95 % interval.")
    parts += [section(result) for result in results]
    if profiled:
        parts.append(stages(profiled))
    return "\n\n".join(parts) + "\n"


def section(result: PointResult) -> str:
    """One point: its cases, and what they are to each other."""
    lines = [f"## {result.point}", "", f"{result.rounds} rounds, interleaved."]
    if result.figures:
        lines += ["", _HEAD, *(_row(figures) for figures in result.figures)]
    if result.latencies:
        lines += ["", _LIVE_HEAD, *(_live_row(one) for one in result.latencies)]
    if result.comparisons:
        lines += ["", "| comparison, round by round | |", "| --- | --- |"]
        lines += [f"| {one.what} | {one.spread} |" for one in result.comparisons]
    lines += [""] * bool(result.failed)
    lines += [f"- {subject}: no figures, {why}" for subject, why in result.failed.items()]
    return "\n".join(lines)


def stages(profiled: Stages) -> str:
    """CPU time per frame of every stage, of cases that were sampled."""
    names = dict.fromkeys(name for spent in profiled.values() for name in spent)
    lines = ["## CPU ms per frame by stage, sampled", "", f"| | {' | '.join(profiled)} |"]
    lines.append("| --- |" + " --- |" * len(profiled))
    for name in names:
        cells = [f"{spent.get(name, 0.0):.2f}" for spent in profiled.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _row(figures: Figures) -> str:
    cells = (
        figures.subject,
        _rounded(figures.fps, 1),
        _rounded(figures.cpu_ms, 2),
        f"{figures.start_up_s:.1f}",
        f"{figures.rss_mb:.0f}",
        "" if figures.detections is None else str(figures.detections),
    )
    return f"| {' | '.join(cells)} |"


def _live_row(one: Latency) -> str:
    latencies = [_rounded(value, 0) for value in (one.p50, one.p95, one.p99)]
    cells = (one.subject, *latencies, f"{one.delivered.middle:.1%}", _rounded(one.cpu_cores, 2))
    return f"| {' | '.join(cells)} |"


def _rounded(value: Spread, digits: int) -> str:
    return f"{value.middle:.{digits}f} ({value.low:.{digits}f} to {value.high:.{digits}f})"
