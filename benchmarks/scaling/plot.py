"""The scenarios as a picture: frames told, latency, and what is busy, against cameras."""

from pathlib import Path
from typing import Any


def plot(scenarios: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """A PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, (told, late, busy) = pyplot.subplots(1, 3, figsize=(16, 4.6), layout="constrained")
    for name, points in scenarios.items():
        streams = [point["streams"] for point in points]
        told.plot(streams, [100 * point["share_told"] for point in points], marker=".", label=name)
        late.plot(streams, [point["p99_ms"] for point in points], marker=".", label=name)
        locks = [100 * point["busy"]["main lock"] for point in points]
        busy.plot(streams, locks, marker=".", label=name)
    for axes, what in (
        (told, "frames told, %"), (late, "p99 from camera to message, ms"),
        (busy, "main process's Python lock held, %"),
    ):  # fmt: skip
        axes.set_xscale("log")
        axes.set_xlabel("cameras, 25 frames a second")
        axes.set_title(what, fontsize=10)
        axes.grid(alpha=0.3)
    late.set_yscale("log")
    late.axhline(150, color="grey", linewidth=0.8)
    told.legend(fontsize=7)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
