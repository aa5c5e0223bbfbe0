"""A run's figures as files: `log.jsonl`, `metrics.csv` and TensorBoard's events.

All three tell the same; the first is the one that plots are drawn from.
"""

from __future__ import annotations

import csv
import io
import json
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from detectors.evaluation.average_precision import Metrics
from pipeline.core.log import get_logger

log = get_logger(__name__)

LOG, TABLE, BOARD = "log.jsonl", "metrics.csv", "tensorboard"
COLUMNS = (
    *("step", "pictures_seen", "time", "loss", "cls", "iou", "dfl", "distill", "lr"),
    *("pictures_per_s", "folder", "of", "map50", "map50_95"),
)


class Watcher(Protocol):
    """Who is told how a run goes, in its own process and thread; must return at once."""

    def stepped(self, step: int, seen: int, loss: float) -> None:
        """An optimizer step was made; `seen` pictures of the budget are spent."""

    def evaluated(self, folder: str, metrics: Metrics) -> None:
        """The averaged network was measured on a folder's val split."""


class Unwatched:
    """The watcher that does nothing."""

    def stepped(self, step: int, seen: int, loss: float) -> None:
        """See `Watcher`."""

    def evaluated(self, folder: str, metrics: Metrics) -> None:
        """See `Watcher`."""


class Report:
    """Appends to the files of one run. What they tell of steps after `step` is taken out first:
    a run that was cut off between two checkpoints makes those steps again."""

    def __init__(self, out: Path, class_names: Sequence[str], step: int) -> None:
        self._log, self._table = out / LOG, out / TABLE
        self._columns = [*COLUMNS, *(f"ap50/{name}" for name in class_names)]
        for path in (self._log, self._table):
            path.touch()
        before = [row for row in read_log(out) if row["step"] <= step]
        self._log.write_text("".join(f"{json.dumps(numbers(row))}\n" for row in before))
        self._table.write_text(_line(self._columns) + "".join(map(self._row, before)))
        self._board = _board(out / BOARD, step)

    def record(self, step: int, seen: int, **values: Any) -> None:
        """One line in each of the files; what is no number is null there."""
        values = numbers(values)
        row = {"step": step, "pictures_seen": seen, "time": round(time.time(), 1)} | values
        text = json.dumps(row)
        with self._log.open("a") as file:
            file.write(text + "\n")
        with self._table.open("a") as file:
            file.write(self._row(row))
        if self._board is not None:
            under = "/".join(str(row[key]) for key in ("of", "folder") if key in row) or "train"
            for name, value in _flat(values):
                if isinstance(value, float):
                    self._board.add_scalar(f"{under}/{name}", value, step)
        log.info("%s", text)

    def close(self) -> None:
        """Write what TensorBoard's file has in memory."""
        if self._board is not None:
            self._board.close()

    def _row(self, values: dict[str, Any]) -> str:
        flat = dict(_flat(values))
        return _line([flat.get(column, "") for column in self._columns])


def read_log(out: Path) -> list[dict[str, Any]]:
    """The lines of a run's log; a last one that was cut off is left out."""
    rows = []
    for line in (out / LOG).read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            log.warning("%s: a line that is cut off is left out", out / LOG)
    return rows


def numbers(values: dict[str, Any]) -> dict[str, Any]:
    """The same with None for floats that JSON cannot tell, in dictionaries of it too."""
    return {
        name: numbers(value)
        if isinstance(value, dict)
        else None
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for name, value in values.items()
    }


def _flat(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Values, those of dictionaries as `name/key`."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{name}/{key}", inner) for key, inner in value.items())
        else:
            yield name, value


def _line(cells: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _board(folder: Path, step: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        log.warning("tensorboardX is not installed: no events for TensorBoard are written")
        return None
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
