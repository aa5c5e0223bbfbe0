"""Results as PNG. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.bench.job import Point
from pipeline.bench.plan import NO_MODEL
from pipeline.bench.profiles import Stages
from pipeline.bench.results import Figures, PointResult
from pipeline.bench.statistics import Spread
from pipeline.core.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_OWN, _PEER = "#1f4e79", "#b0b7bf"
_DPI = 90
_AXES: dict[str, Callable[[Point], float]] = {
    "streams": lambda point: point.streams,
    "pixels": lambda point: point.width * point.height / 1e6,
    "batch": lambda point: point.batch,
    "detections": lambda point: point.found,
}
_LABELS = {
    "streams": "streams",
    "pixels": "megapixels a frame",
    "batch": "pictures in a batch",
    "detections": "detections in a frame",
}


def require_matplotlib() -> None:
    """Raises `ConfigError` where it is not installed, before anything is measured."""
    try:
        import matplotlib as mpl
    except ImportError:
        why = "needs matplotlib: pip install 'eyrie[train]', or leave it out"
        raise ConfigError("--plots", why) from None
    mpl.use("agg")


def draw(results: Sequence[PointResult], stages: Stages, folder: Path) -> list[Path]:
    """`base.png`, all cases of the base beside each other, `latency.png` of live ones, `stages.png`
    of sampled ones, and `AXIS.png` for every axis that was varied: the files that were written."""
    made = [_save(_base(results[0]), folder / "base.png")] if results[0].figures else []
    if any(result.latencies for result in results):
        made.append(_save(_latencies(results), folder / "latency.png"))
    if stages:
        made.append(_save(_stages(stages), folder / "stages.png"))
    for name, value in _AXES.items():
        varied = [r for r in results if _differs_only(r.point, results[0].point, name)]
        if len(varied) > 1:
            chart = _curves(sorted(varied, key=lambda r: value(r.point)), name)
            made.append(_save(chart, folder / f"{name}.png"))
    return made


def _differs_only(point: Point, base: Point, axis: str) -> bool:
    return all(of(point) == of(base) for name, of in _AXES.items() if name != axis)


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=_DPI)
    return path


def _base(result: PointResult) -> Figure:
    from matplotlib.figure import Figure

    models = [f for f in result.figures if f.subject == "pipeline" or _is_loop(f)]
    bare = [f for f in result.figures if f.subject == "decode" or f.subject.endswith(NO_MODEL)]
    panels = [
        (models, "frames a second, same model", lambda f: f.fps),
        (bare, "CPU ms per frame, no model", lambda f: f.cpu_ms),
    ]
    panels = [panel for panel in panels if panel[0]] or [
        (result.figures, "CPU ms per frame", lambda f: f.cpu_ms)
    ]
    rows = sum(len(panel[0]) for panel in panels)
    figure = Figure(figsize=(9, 1.5 + 0.32 * rows), layout="constrained")
    shares = [len(panel[0]) for panel in panels]
    charts = figure.subplots(len(panels), 1, squeeze=False, height_ratios=shares)
    for chart, (figures, label, pick) in zip(charts[:, 0], panels, strict=True):
        _bars(chart, figures, label, pick)
    figure.suptitle(f"{result.point}", fontsize=10)
    return figure


def _is_loop(figures: Figures) -> bool:
    return figures.is_peer and not figures.subject.endswith(NO_MODEL)


def _bars(
    chart: Axes, figures: Sequence[Figures], label: str, pick: Callable[[Figures], Spread]
) -> None:
    spreads = [pick(one) for one in figures]
    middles = [one.middle for one in spreads]
    colors = [_PEER if one.is_peer else _OWN for one in figures]
    bars = chart.barh([one.subject for one in figures], middles, color=colors)
    errors = ([s.middle - s.low for s in spreads], [s.high - s.middle for s in spreads])
    chart.errorbar(middles, range(len(middles)), xerr=errors, fmt="none", ecolor="#c0392b")
    texts = chart.bar_label(
        bars, [f"{middle:.3g}" for middle in middles], label_type="center", fontsize=8
    )
    for text, one in zip(texts, figures, strict=True):
        text.set_color("black" if one.is_peer else "white")
    chart.invert_yaxis()
    chart.set_xlabel(label)
    chart.tick_params(labelsize=8)


def _latencies(results: Sequence[PointResult]) -> Figure:
    from matplotlib.figure import Figure

    rows = [(f"{r.point.streams}: {one.subject}", one) for r in results for one in r.latencies]
    figure = Figure(figsize=(9, 1.2 + 0.34 * len(rows)), layout="constrained")
    chart = figure.subplots()
    for name, mark in (("p50", "o"), ("p95", "s"), ("p99", "D")):
        values = [getattr(one, name).middle for _, one in rows]
        chart.plot(values, range(len(rows)), mark, ms=4, label=name)
    chart.set_yticks(range(len(rows)), [label for label, _ in rows])
    chart.invert_yaxis()
    chart.set_xscale("log")
    chart.set_xlabel("ms from a picture's sending to its result; streams before the name")
    chart.grid(axis="x", which="both", alpha=0.3)
    chart.tick_params(labelsize=8)
    chart.legend(fontsize=8)
    return figure


def _stages(stages: Stages) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.5 + 0.5 * len(stages)), layout="constrained")
    chart = figure.subplots()
    left = [0.0] * len(stages)
    for name in dict.fromkeys(name for spent in stages.values() for name in spent):
        widths = [spent.get(name, 0.0) for spent in stages.values()]
        chart.barh(list(stages), widths, left=left, label=name)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    chart.set_xlabel("CPU ms per frame, sampled")
    chart.invert_yaxis()
    figure.legend(loc="outside lower center", fontsize=8, ncols=5)
    return figure


def _curves(results: Sequence[PointResult], axis: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    subjects = dict.fromkeys(f.subject for r in results for f in r.figures)
    for subject in subjects:
        found = [(r.point, f) for r in results for f in r.figures if f.subject == subject]
        if len(found) < 2:
            continue
        at = [_AXES[axis](point) for point, _ in found]
        style = "--" if found[0][1].is_peer else "-"
        for chart, pick in ((left, "fps"), (right, "cpu_ms")):
            spreads: list[Spread] = [getattr(f, pick) for _, f in found]
            middles = [s.middle for s in spreads]
            errors = ([s.middle - s.low for s in spreads], [s.high - s.middle for s in spreads])
            chart.errorbar(at, middles, yerr=errors, fmt=f"o{style}", ms=3, lw=1.2, label=subject)
    for chart, label in ((left, "frames a second"), (right, "CPU ms per frame")):
        chart.set_xlabel(_LABELS[axis])
        chart.set_ylabel(label)
        chart.set_ylim(bottom=0)
        if axis == "streams":
            chart.set_xscale("log", base=2)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", fontsize=7, ncols=2)
    return figure
