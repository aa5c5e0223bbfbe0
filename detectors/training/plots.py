"""PNG plots of a run: losses, precision over recall, confusion, samples. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from detectors.evaluation.average_precision import Found, Truth, evaluate
from detectors.training.curves import CONFIDENT, confusion, precision_recall
from detectors.training.data import read_image
from detectors.training.report import read_log
from detectors.training.validation import Verdict
from pipeline.core.arrays import F32

SAMPLES, COLUMNS = 16, 4
DPI = 120
SMOOTHING = 0.9


def draw(out: Path, verdicts: Sequence[Verdict], class_names: Sequence[str]) -> list[Path]:
    """Draw what can be drawn into `out`: `losses.png` from its log, the others of the verdicts,
    all pictures of which count alike. Returns the files that were made."""
    figures = {"losses.png": losses(read_log(out))}
    if verdicts:
        figures["precision_recall.png"] = precision_recalls(verdicts, class_names)
        figures["confusion.png"] = confusions(verdicts, class_names)
        figures["samples.png"] = samples(verdicts, class_names)
    for name, figure in figures.items():
        figure.savefig(out / name, dpi=DPI)
    return [out / name for name in figures]


def losses(rows: Sequence[dict[str, Any]]) -> Figure:
    """The terms of the loss, as they are and smoothed, and what evaluations of the averaged
    network gave, over the pictures seen."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in ("loss", "cls", "iou", "dfl", "distill"):
        there = [row for row in rows if name in row]
        if there:
            seen = [row["pictures_seen"] for row in there]
            values = [row[name] for row in there]
            style = "-" if len(values) > 1 else "o"
            (line,) = left.plot(seen, _smooth(values), style, label=name)
            left.plot(seen, values, color=line.get_color(), alpha=0.25, lw=0.8)
            left.legend()
    evaluated = [row for row in rows if "folder" in row and "of" not in row]
    for folder in dict.fromkeys(row["folder"] for row in evaluated):
        there = [row for row in evaluated if row["folder"] == folder]
        seen = [row["pictures_seen"] for row in there]
        for metric, style in (("map50", "o-"), ("map50_95", "o--")):
            scores = np.array([row[metric] for row in there], float)
            right.plot(seen, scores, style, label=f"{folder} {metric}")
        right.legend()
    left.set(title="loss, smoothed (faint: as it is)", xlabel="pictures seen")
    right.set(title="mean average precision", xlabel="pictures seen", ylim=(0, 1))
    return figure


def precision_recalls(verdicts: Sequence[Verdict], class_names: Sequence[str]) -> Figure:
    """A curve for each class at IoU 0.5, with its average precision."""
    found = [f for verdict in verdicts for f in verdict.found]
    truths = [t for verdict in verdicts for t in verdict.truths]
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    ap50 = evaluate(found, truths, len(class_names)).ap50
    for class_id, name in enumerate(class_names):
        recall, precision = precision_recall(found, truths, class_id)
        if len(recall):
            axes.plot(recall, precision, label=f"{name}, AP50 {ap50[class_id]:.3f}")
            axes.legend()
    axes.set(title="IoU 0.5", xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    return figure


def confusions(verdicts: Sequence[Verdict], class_names: Sequence[str]) -> Figure:
    """What is taken for what, in counts; shade by share of the row."""
    found = [f for verdict in verdicts for f in verdict.found]
    truths = [t for verdict in verdicts for t in verdict.truths]
    counts = confusion(found, truths, len(class_names))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(5.0, 0.7 * len(counts))
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(count), ha="center", va="center", color=colour)
    places = range(len(counts))
    axes.set_xticks(places, [*class_names, "nothing"], rotation=45, ha="right")
    axes.set_yticks(places, [*class_names, "nothing"])
    axes.set(title=f"score of {CONFIDENT} or more, IoU 0.5", xlabel="found", ylabel="true")
    return figure


def samples(verdicts: Sequence[Verdict], class_names: Sequence[str]) -> Figure:
    """Val pictures, evenly spaced, with what was found in them and what is labelled."""
    every = [row for v in verdicts for row in zip(v.pictures, v.found, v.truths, strict=True)]
    places = np.linspace(0, len(every) - 1, SAMPLES).round().astype(int)
    picked = list({every[n][0].path: every[n] for n in places}.values())
    rows = -(-len(picked) // COLUMNS)
    figure = Figure(figsize=(4 * COLUMNS, 3 * rows), layout="constrained")
    grid = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes in grid:
        axes.axis("off")
    for axes, (picture, found, truth) in zip(grid, picked, strict=False):
        axes.imshow(read_image(picture.path))
        _show_found(axes, found, class_names)
        _show_truth(axes, truth)
    figure.suptitle(f"white: as labelled; coloured: as found, score of {CONFIDENT} or more")
    return figure


def _show_found(axes: Any, found: Found, class_names: Sequence[str]) -> None:
    """Boxes with labels, the best last: nothing covers them."""
    for n in np.argsort(found.score, kind="stable"):
        if found.score[n] >= CONFIDENT:
            class_id = int(found.class_id[n])
            colour = f"C{class_id % 10}"
            axes.add_patch(_box(found.xyxy[n], edgecolor=colour, lw=1.5))
            x1, y1 = (float(value) for value in found.xyxy[n, :2])
            label = f"{class_names[class_id]} {found.score[n]:.2f}"
            axes.text(
                x1, y1, label, color="white", backgroundcolor=colour, fontsize=6, clip_on=True
            )


def _show_truth(axes: Any, truth: Truth) -> None:
    for xyxy in truth.xyxy:
        axes.add_patch(_box(xyxy, edgecolor="white", lw=0.7))


def _box(xyxy: F32, **style: Any) -> Rectangle:
    x1, y1, x2, y2 = (float(value) for value in xyxy)
    return Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, **style)


def _smooth(values: Sequence[float]) -> list[float]:
    """A moving average in which the first values weigh no more than others."""
    smoothed, total = [], 0.0
    for count, value in enumerate(values, 1):
        total = SMOOTHING * total + (1 - SMOOTHING) * value
        smoothed.append(total / (1 - SMOOTHING**count))
    return smoothed
