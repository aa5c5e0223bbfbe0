"""What a search for a hybrid found: as JSON, as evidence in the file, and drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectors.quantize.hybrid import Outcome
from detectors.quantize.selection import Candidate, frontier

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABELS = {
    "fp32": "FP32",
    "full": "full INT8",
    "predictions": "predictions in float",
    "heads": "heads in float",
}
MARKS = {"fp32": "s", "full": "D", "predictions": "v", "heads": "^"}
DPI = 110
POINTS_DIGITS, MS_DIGITS = 3, 4


def report(outcome: Outcome, about: Mapping[str, Any]) -> dict[str, Any]:
    """All of it, ready for JSON; `about` is put first: where and on what it was measured."""
    return {
        **about,
        "engine": outcome.engine,
        "device": outcome.device,
        "max_drop": outcome.max_drop,
        "fp32_ap": round(outcome.fp32_points, POINTS_DIGITS),
        "chosen": _figures(outcome.chosen),
        "float": sorted(outcome.chosen.left),
        "known": {name: _figures(one) for name, one in outcome.known.items()},
        "layers": [
            {
                "name": layer.name,
                "error": float(f"{layer.error:.4g}"),
                "cost_ms": None if math.isnan(layer.cost_ms) else round(layer.cost_ms, MS_DIGITS),
                "float": layer.name in outcome.chosen.left,
                "always_float": layer.name in outcome.always,
            }
            for layer in outcome.layers
        ],
        "candidates": [
            {"name": one.name} | _figures(one) | {"float": sorted(one.left)}
            for one in sorted(outcome.candidates, key=lambda one: one.ms)
        ],
    }


def evidence(told: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a `report` that a file carries in its metadata: without layers and candidates."""
    return {key: told[key] for key in told if key not in ("float", "layers", "candidates")}


def draw(candidates: Sequence[Candidate], known: Mapping[str, Candidate],
         chosen: Mapping[str, Candidate], title: str, path: Path) -> None:  # fmt: skip
    """A PNG of points lost over milliseconds: the candidates, those on the frontier joined, the
    known forms and the chosen ones by their labels. Needs matplotlib."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    axes = figure.subplots()
    best = frontier(candidates)
    axes.plot([one.ms for one in best], [one.drop for one in best], color="C0", lw=1.2, zorder=1)
    axes.scatter([one.ms for one in candidates], [one.drop for one in candidates], s=14,
                 color="C0", alpha=0.5, label="judged; line: frontier")  # fmt: skip
    for name, one in known.items():
        axes.scatter(one.ms, one.drop, s=55, marker=MARKS[name], color="C7", edgecolor="black",
                     zorder=3, label=LABELS[name])  # fmt: skip
    for n, (label, one) in enumerate(chosen.items()):
        axes.scatter(one.ms, one.drop, s=110, marker="*", color=f"C{n + 1}", edgecolor="black",
                     lw=0.5, zorder=4, label=label)  # fmt: skip
    _label(axes, title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)


def _label(axes: Axes, title: str) -> None:
    axes.axhline(0, color="0.8", lw=0.8, zorder=0)
    axes.invert_yaxis()
    axes.set(title=title, xlabel="ms per picture, batch 1",
             ylabel="points of AP 50:95 lost (less is higher)")  # fmt: skip
    axes.legend(fontsize=8, framealpha=0.9)


def _figures(one: Candidate) -> dict[str, Any]:
    return {
        "drop": round(one.drop, POINTS_DIGITS),
        "ms": round(one.ms, MS_DIGITS),
        "float_layers": len(one.left),
    }
