"""YOLO folders: `data.yaml` with `names` and the splits, a text file of labels for each picture.

A label is a line `class cx cy width height` in shares of the picture, or `class x1 y1 x2 y2 x3 y3
…`, a polygon, of which the surrounding box is taken. The labels of `…/images/…/a.jpg` are in
`…/labels/…/a.txt`; a picture without the file is empty. Every picture labels every class, unless
`data.yaml` says otherwise: `labelled`, a list of names.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from detectors.training.data.dataset import Dataset, Picture
from detectors.training.data.files import class_name, is_file, is_there, read_text, shown
from detectors.training.data.labels import Labels, Size
from detectors.training.data.pixels import picture_size
from pipeline.core.errors import ConfigError
from pipeline.core.picture_files import PICTURE_SUFFIXES

DESCRIPTION = "data.yaml"

# PyYAML lets through what Python says of a tag or a date with nonsense after it.
MALFORMED = (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError)


def read_yolo(file: Path, split: str) -> Dataset:
    """The pictures of one split. Raises `ConfigError` when the description is no good."""
    said = _Description(file)
    labels = Labels(len(said.names))
    pictures = []
    for path in said.pictures(split):
        picture = _picture(path, labels, said.labelled)
        if picture is not None:
            pictures.append(picture)
    return Dataset(file.parent, said.names, pictures, labels.faults, labels.boxes_read)


class _Description:
    """`data.yaml`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            said: Any = yaml.safe_load(read_text(file))
        except MALFORMED as error:
            raise ConfigError(str(file), f"cannot be read: {error}") from error
        if not isinstance(said, dict):
            raise ConfigError(str(file), "must hold names and the folders train and val")
        self._said: dict[str, Any] = said
        self.names = self._names()
        self.labelled = self._labelled()

    def pictures(self, split: str) -> Iterator[Path]:
        """The files of a split in order of their names; none when the split is not there."""
        keys = ("val", "valid", "validation") if split == "val" else (split,)
        key = next((key for key in keys if self._said.get(key) not in (None, "")), split)
        for source in self._sources(key):
            place = self._resolved(key, source)
            if place.suffix == ".txt":
                yield from self._listed(place)
            else:
                yield from sorted(
                    p for p in place.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES
                )

    def _sources(self, key: str) -> list[str]:
        said = self._said.get(key) or []
        sources = said if isinstance(said, list) else [said]
        wrong = [source for source in sources if not isinstance(source, str)]
        if wrong:
            what = f"{key} must be a folder, a .txt file or a list of these, not {shown(wrong[0])}"
            raise ConfigError(str(self._file), what)
        return sources

    def _resolved(self, key: str, source: str) -> Path:
        """Relative to `path`, that to this file; exports also say `../train` for `train`."""
        here = self._file.parent
        path = self._said.get("path") or ""
        if not isinstance(path, str):
            raise ConfigError(str(self._file), f"path must be a folder, not {shown(path)}")
        root = here / path
        for place in (root / source, here / source, here / source.removeprefix("../")):
            if is_there(place):
                return place
        what = f"{key} names {shown(source)}, and there is none in {shown(str(root))}"
        raise ConfigError(str(self._file), what)

    def _listed(self, file: Path) -> Iterator[Path]:
        for line in read_text(file).splitlines():
            if line.strip():
                yield file.parent / line.strip()

    def _names(self) -> tuple[str, ...]:
        names = self._said.get("names")
        if isinstance(names, dict):
            if set(names) != set(range(len(names))):
                raise ConfigError(str(self._file), "names must be numbered 0, 1, 2 …")
            names = [names[n] for n in range(len(names))]
        if not isinstance(names, list) or not names:
            raise ConfigError(str(self._file), "has no list of class names, `names`")
        count = self._said.get("nc", len(names))
        if not isinstance(count, int | float):
            raise ConfigError(str(self._file), f"nc must be a number, not {shown(count)}")
        if count != len(names):
            raise ConfigError(
                str(self._file), f"nc is {shown(count)}, but there are {len(names)} names"
            )
        known = self._all_names("names", names)
        if len(set(known)) < len(known):
            raise ConfigError(str(self._file), "names a class twice")
        return known

    def _labelled(self) -> tuple[int, ...]:
        wanted = self._said.get("labelled", list(self.names))
        known = self._all_names("labelled", wanted) if isinstance(wanted, list) else ("",)
        if not set(known) <= set(self.names):
            raise ConfigError(str(self._file), "labelled must be a list of some of the names")
        return tuple(n for n, name in enumerate(self.names) if name in known)

    def _all_names(self, key: str, values: list[Any]) -> tuple[str, ...]:
        try:
            return tuple(map(class_name, values))
        except ValueError as error:
            raise ConfigError(str(self._file), f"{key}: {error}") from error


def labels_of(path: Path) -> Path:
    """The file of labels of a picture: the last folder `images` in its path becomes `labels`."""
    parts = list(path.with_suffix(".txt").parts)
    for n in range(len(parts) - 2, -1, -1):
        if parts[n] == "images":
            parts[n] = "labels"
            break
    return Path(*parts)


def _picture(path: Path, labels: Labels, labelled: tuple[int, ...]) -> Picture | None:
    try:
        size = picture_size(path)
    except ValueError:
        there = is_file(path)
        what = "not a readable picture" if there else "there is no such picture"
        labels.fault(path, "", what, "picture")
        return None
    of_picture = labels.of(size)
    file = labels_of(path)
    if file.is_file():
        for number, line in enumerate(file.read_bytes().removeprefix(BOM_UTF8).splitlines(), 1):
            if not line.strip():
                continue
            place = f"line {number}"
            try:
                class_id, xyxy = _box(line, size)
            except ValueError as error:
                labels.boxes_read += 1
                labels.fault(file, place, f"malformed: {error}")
                continue
            of_picture.add(class_id, xyxy, file, place)
    return of_picture.picture(path, labelled)


def _box(line: bytes, size: Size) -> tuple[float, list[float]]:
    """Class and xyxy pixels of a line; ValueError when it is neither a box nor a polygon."""
    class_id, *values = (float(word) for word in line.split())
    width, height = size
    if len(values) == 4:
        cx, cy, w, h = values
        x1, y1, x2, y2 = cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
    elif len(values) >= 6 and len(values) % 2 == 0:
        xs, ys = values[::2], values[1::2]
        x1, y1, x2, y2 = min(xs), min(ys), max(xs), max(ys)
    else:
        raise ValueError(f"{len(values)} numbers after the class, wanted 4 or a polygon's")
    return class_id, [x1 * width, y1 * height, x2 * width, y2 * height]
