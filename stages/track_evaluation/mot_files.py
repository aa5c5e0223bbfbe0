"""Boxes in the text format of MOT Challenge: `frame,id,x,y,w,h[,conf[,class[,visibility]]]`.

Frames count from 1; x, y are the left and top edge, all in pixels. Lines need not be sorted. A
class that is missing or -1 is 1, which is `pedestrian` of MOT Challenge; a conf that is missing
is 1. MOT15 has world coordinates (-1, -1, -1) where later years have class and visibility.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from pipeline.core.arrays import F64, I32, I64, Bool
from pipeline.core.errors import ConfigError
from pipeline.core.tracks import Tracks

PEDESTRIAN = 1
LONGEST_FRAMES = 10_000_000
_LEAST, _MOST = 6, 10
_LARGEST_ID = 2**53  # float64 holds whole numbers up to here
_LARGEST_CLASS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class MotTable:
    """M lines of a file, by rising frame, else in the file's order.

    - `frame` (M,) int64 from 0 on; `track_id` (M,) int64, -1 where there is none.
    - `xyxy` (M, 4) float64; `conf` (M,) float64; `class_id` (M,) int32.
    """

    frame: I64
    track_id: I64
    xyxy: F64
    conf: F64
    class_id: I32

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def frame_count(self) -> int:
        """Frames up to the last that has a line."""
        return int(self.frame[-1]) + 1 if len(self) else 0

    def rows(self, kept: Bool) -> "MotTable":
        """Choose the rows where the mask (M,) is true."""
        return MotTable(
            self.frame[kept],
            self.track_id[kept],
            self.xyxy[kept],
            self.conf[kept],
            self.class_id[kept],
        )

    def every(self, step: int) -> "MotTable":
        """Only frames 0, `step`, 2 `step` and so on, renumbered without gaps."""
        kept = self.rows(self.frame % step == 0)
        return MotTable(
            kept.frame // step, kept.track_id, kept.xyxy, kept.conf, kept.class_id
        )  # fmt: skip

    def of_one_class(self, class_id: int) -> "MotTable":
        """With this class where all lines have the same: many files of tracks tell none, or 0."""
        if len(set(self.class_id.tolist())) > 1:
            return self
        return replace(self, class_id=np.full_like(self.class_id, class_id))

    def by_frame(self, frames: int) -> list[slice]:
        """The rows of each of so many frames."""
        edges = np.searchsorted(self.frame, np.arange(frames + 1)).tolist()
        return [slice(low, high) for low, high in pairwise(edges)]


def read_mot(path: Path, *, identities: bool) -> MotTable:
    """Reads a file. With `identities` every line must have a box of some size and an id that its
    frame has once, else ids are not looked at. Raises `ConfigError` that names file and line."""
    rows: list[tuple[float, ...]] = []
    seen: dict[tuple[int, int], int] = {}
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        row = _parsed(line, f"{path}:{number}")
        if identities:
            _identified(row, seen, path, number)
        rows.append(row)
    table = np.array(rows, np.float64).reshape(-1, 8)
    table = table[np.argsort(table[:, 0], kind="stable")]
    return MotTable(
        frame=table[:, 0].astype(np.int64) - 1,
        track_id=table[:, 1].astype(np.int64),
        xyxy=np.concatenate([table[:, 2:4], table[:, 2:4] + table[:, 4:6]], axis=1),
        conf=table[:, 6],
        class_id=table[:, 7].astype(np.int32),
    )


def write_mot(path: Path, tracks: list[Tracks], every: int = 1) -> None:
    """Writes tracks of frames 1, 1 + `every` and so on, in the format of results: `conf` is the
    score, then the class and -1, -1."""
    lines = []
    for number, some in enumerate(tracks):
        corner, size = some.xyxy[:, :2], some.xyxy[:, 2:] - some.xyxy[:, :2]
        columns = (some.track_id, corner, size, some.score, some.class_id)
        for ident, (x, y), (w, h), score, kind in zip(*(c.tolist() for c in columns), strict=True):
            box = f"{x:.2f},{y:.2f},{w:.2f},{h:.2f}"
            lines.append(f"{number * every + 1},{ident},{box},{score:.4f},{kind},-1,-1\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="ascii")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise ConfigError(str(path), "is no text; MOT files are lines of numbers") from None


def _parsed(line: str, where: str) -> tuple[float, ...]:
    """frame, id, x, y, w, h, conf, class."""
    cells = line.replace(" ", ",").split(",") if "," not in line else line.split(",")
    if not _LEAST <= len(cells) <= _MOST:
        raise ConfigError(
            where, f"{len(cells)} values; a line is frame,id,x,y,w,h[,conf[,class[,visibility]]]"
        )
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        raise ConfigError(where, f"{line.strip()[:60]!r} is not all numbers") from None
    if not all(map(math.isfinite, values)):
        raise ConfigError(where, "holds a number that is not finite")
    frame, conf = values[0], values[6] if len(values) > 6 else 1.0
    if frame != int(frame) or not 1 <= frame <= LONGEST_FRAMES:
        raise ConfigError(where, f"frame {cells[0].strip()} is no whole number from 1 on")
    if values[1] != int(values[1]) or abs(values[1]) > _LARGEST_ID:
        raise ConfigError(where, f"id {cells[1].strip()} is no whole number up to {_LARGEST_ID}")
    kind = values[7] if len(values) > 7 else -1.0
    if kind > _LARGEST_CLASS:
        raise ConfigError(where, f"class {cells[7].strip()} is beyond {_LARGEST_CLASS}")
    return (*values[:6], conf, float(PEDESTRIAN) if kind < 0 else kind)


def _identified(
    row: tuple[float, ...], seen: dict[tuple[int, int], int], path: Path, number: int
) -> None:
    frame, ident, width, height = int(row[0]), int(row[1]), row[4], row[5]
    if width <= 0 or height <= 0:
        raise ConfigError(f"{path}:{number}", f"a box of {width:g} x {height:g} px")
    if (earlier := seen.setdefault((frame, ident), number)) != number:
        raise ConfigError(
            f"{path}:{number}", f"id {ident} is already in frame {frame}, at line {earlier}"
        )
