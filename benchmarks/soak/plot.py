"""The picture of a soak: memory with its trend, what is held, and the faults."""

from pathlib import Path

import numpy as np

from benchmarks.soak.cameras import CAMERAS, FAULTS
from benchmarks.soak.run import Run
from benchmarks.soak.trend import medians
from benchmarks.soak.verdict import WINDOW_S, memory_trend, warm_up_s


def draw(run: Run, path: Path) -> None:
    """As PNG."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, (memory, held, faults) = pyplot.subplots(
        3, 1, sharex=True, figsize=(11, 9), height_ratios=(3, 2, 2), layout="constrained"
    )
    minutes = [s.at_s / 60 for s in run.samples]
    memory.plot(minutes, [s.rss_mb for s in run.samples], ".", ms=3, color="#9bb8d3", label="RSS")
    times, values = medians(
        [s.at_s for s in run.samples], [s.rss_mb for s in run.samples], WINDOW_S
    )
    memory.plot(np.array(times) / 60, values, "-", color="#1f4e79", label="median of a minute")
    trend = memory_trend(run.samples)
    if trend is not None:
        begin_s = warm_up_s(run.samples)
        steady = [(t, v) for t, v in zip(times, values, strict=True) if t >= begin_s]
        hours = np.array([t for t, _ in steady]) / 3600
        level = np.median([v - trend.slope * t / 3600 for t, v in steady])
        memory.plot(
            60 * hours, level + trend.slope * hours, "-", lw=2, color="#c0392b",
            label=f"{trend.slope:+.2f} MB/h ({trend.low:+.2f} to {trend.high:+.2f})",
        )  # fmt: skip
        memory.axvspan(0, begin_s / 60, color="#eeeeee", zorder=0, label="warm-up")
    memory.set_ylabel("MB")
    memory.legend(loc="lower right")
    held.plot(minutes, [s.threads for s in run.samples], color="#1f4e79", label="threads")
    held.plot(minutes, [s.descriptors for s in run.samples], color="#c0392b", label="descriptors")
    held.set_ylabel("held")
    held.set_ylim(bottom=0)
    held.legend(loc="lower right")
    names = list(CAMERAS)
    colors = mpl.colormaps["Dark2"](range(len(FAULTS)))
    for number, kind in enumerate(FAULTS):
        found = [o for o in run.outages if o.kind == kind]
        faults.barh(
            [names.index(o.camera) for o in found],
            [(o.ended_s - o.began_s) / 60 for o in found],
            left=[o.began_s / 60 for o in found], color=colors[number], label=kind,
        )  # fmt: skip
    faults.set_yticks(range(len(names)), names)
    faults.set_xlabel("minutes")
    faults.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=len(FAULTS))
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
