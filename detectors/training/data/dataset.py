"""Pictures with boxes, and what was wrong with the files that they were read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from pipeline.core.arrays import F32, I64, Bool
from pipeline.core.errors import ConfigError

SHOWN_FAULTS = 10

Lost = Literal["nothing", "box", "picture"]


@dataclass(frozen=True, slots=True)
class DataFault:
    """Something wrong in `file` at `place` ("line 7", "annotation 12", or ""), and what it cost."""

    file: Path
    place: str
    what: str
    lost: Lost = "box"

    def __str__(self) -> str:
        return f"{self.file}{', ' if self.place else ''}{self.place}: {self.what}"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture file and its boxes.

    xyxy (N, 4) f32 pixels, inside the picture and not empty; class_id (N,) i64, places in the
    dataset's `class_names`; `labelled`: the classes that were annotated here at all, ascending;
    crowd (N,) bool: the box is around many objects, so that evaluation ignores what is found in
    it and training leaves it out; area (N,) f32 px²: what evaluation by size goes by.
    """

    path: Path
    labelled: tuple[int, ...]
    xyxy: F32
    class_id: I64
    crowd: Bool = field(default_factory=lambda: np.zeros(0, np.bool_))
    area: F32 = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        count = len(self.class_id)
        if self.xyxy.shape != (count, 4):
            raise ValueError(f"{self.path}: {count} classes for boxes of shape {self.xyxy.shape}")
        if len(self.crowd) != count:
            object.__setattr__(self, "crowd", np.zeros(count, np.bool_))
        if len(self.area) != count:
            sides = self.xyxy[:, 2:] - self.xyxy[:, :2]
            object.__setattr__(self, "area", sides.prod(axis=1))

    def kept(self, which: Bool) -> Picture:
        """The same picture with only those of its boxes."""
        parts = (self.xyxy[which], self.class_id[which], self.crowd[which], self.area[which])
        return Picture(self.path, self.labelled, *parts)


@dataclass(slots=True)
class Dataset:
    """One split: its pictures, the names of its classes, and what was left out or mended.

    `boxes_read` counts the boxes that were looked at, those that are lost among them.
    """

    location: Path
    class_names: tuple[str, ...]
    pictures: list[Picture]
    faults: list[DataFault] = field(default_factory=list)
    boxes_read: int = 0

    def selected(self, class_names: Sequence[str], *, strict: bool = False) -> Dataset:
        """The same pictures with class ids that are places in `class_names`, matched by name.

        Case and outer blanks do not matter. Boxes of other classes are left out; classes that the
        data does not have are labelled nowhere. Raises `ConfigError` when no name is common to
        both, or with `strict` when any name is not.
        """
        wanted = {_key(name): n for n, name in enumerate(class_names)}
        there = [wanted.get(_key(name), -1) for name in self.class_names]
        common = sum(n >= 0 for n in there)
        different = common < max(len(wanted), len(there))
        if common == 0 or (strict and different):
            raise ConfigError(
                str(self.location),
                f"has {_listed(self.class_names)}, wanted are {_listed(class_names)}; "
                "name the classes of the data as the model does",
            )
        if tuple(class_names) == self.class_names:
            return self
        table = np.array(there, np.int64)
        pictures = [_renumbered(picture, table) for picture in self.pictures]
        return replace(self, class_names=tuple(class_names), pictures=pictures)

    def limited(self, count: int) -> Dataset:
        """`count` of the pictures, evenly spread, or all when there are no more."""
        places = np.linspace(0, len(self.pictures) - 1, min(count, len(self.pictures)))
        return replace(self, pictures=[self.pictures[round(place)] for place in places])

    def summary(self) -> str:
        """What is wrong with the data, for the user; "" when nothing is."""
        if not self.faults:
            return ""
        boxes, pictures, mended = (
            sum(fault.lost == lost for fault in self.faults)
            for lost in ("box", "picture", "nothing")
        )
        counts = [
            f"{boxes} boxes of {self.boxes_read} were left out" if boxes else "",
            f"{pictures} pictures of {len(self.pictures) + pictures} were left out"
            if pictures
            else "",
            f"{mended} boxes were clipped" if mended else "",
        ]
        shown = "; ".join(str(fault) for fault in self.faults[:SHOWN_FAULTS])
        more = "; …" if len(self.faults) > SHOWN_FAULTS else ""
        return f"{', '.join(filter(None, counts))}: {shown}{more}"


def _key(name: str) -> str:
    return name.strip().casefold()


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN_FAULTS])
    more = ", …" if len(names) > SHOWN_FAULTS else ""
    return f"{len(names)} classes ({shown}{more})"


def _renumbered(picture: Picture, table: I64) -> Picture:
    ids = table[picture.class_id]
    labelled = tuple(sorted(int(n) for n in table[list(picture.labelled)] if n >= 0))
    return replace(picture, class_id=ids, labelled=labelled).kept(ids >= 0)
