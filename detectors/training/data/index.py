"""A folder with `index.jsonl`, the format of Eyrie's own training sets.

One object a line: `image` (path, inside the folder), `split`, `labelled` (the classes that were
annotated at all) and `boxes` ([class, x1, y1, x2, y2] in pixels); `width` and `height` save a look
at the picture. The names of the classes are the lines of `classes.txt`; without it they are
`STREET_CLASSES`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detectors.training.data.dataset import Dataset, Picture
from detectors.training.data.files import (
    ENCODING,
    class_name,
    inside,
    is_file,
    parsed_json,
    read_text,
    shown,
)
from detectors.training.data.labels import UNKNOWN_SIZE, Labels, Size
from detectors.training.data.pixels import picture_size
from pipeline.core.errors import ConfigError

INDEX, NAMES = "index.jsonl", "classes.txt"
STREET_CLASSES = ("person", "car", "motorcycle", "bus", "truck")


def read_index_folder(folder: Path, split: str) -> Dataset:
    """The pictures of one split. Raises `ConfigError` when the folder has no index."""
    names = _names(folder)
    index = folder / INDEX
    labels = Labels(len(names))
    pictures = []
    try:
        with index.open(encoding=ENCODING) as lines:
            for number, line in enumerate(lines, 1):
                picture = _picture(index, number, line, split, labels) if line.strip() else None
                if picture is not None:
                    pictures.append(picture)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(index), f"cannot be read: {error}") from error
    return Dataset(folder, names, pictures, labels.faults, labels.boxes_read)


def _names(folder: Path) -> tuple[str, ...]:
    file = folder / NAMES
    if not file.is_file():
        return STREET_CLASSES
    lines = filter(None, map(str.strip, read_text(file).splitlines()))
    try:
        names = tuple(map(class_name, lines))
    except ValueError as error:
        raise ConfigError(str(file), str(error)) from error
    if not names or len(set(names)) < len(names):
        raise ConfigError(str(file), "must hold the names of the classes, each on a line, once")
    return names


def _picture(index: Path, number: int, line: str, split: str, labels: Labels) -> Picture | None:
    place = f"line {number}"
    try:
        row: dict[str, Any] = parsed_json(line)
        if row["split"] != split:
            return None
        path = inside(row["image"], index.parent)
        labelled = _labelled(row["labelled"], labels.classes)
        boxes = [(box[0], [float(value) for value in box[1:]]) for box in row["boxes"]]
        if any(len(xyxy) != 4 for _, xyxy in boxes):
            raise ValueError("a box is not [class, x1, y1, x2, y2]")
        size = _size(row, path)
    except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
        labels.fault(index, place, f"malformed: {shown(error)}", "picture")
        return None
    if not is_file(path):
        labels.fault(index, place, f"there is no picture {shown(str(path))}", "picture")
        return None
    of_picture = labels.of(size)
    for class_id, xyxy in boxes:
        of_picture.add(class_id, xyxy, index, place)
    return of_picture.picture(path, labelled)


def _labelled(ids: list[int], classes: int) -> list[int]:
    wrong = [n for n in ids if type(n) is not int or not 0 <= n < classes]
    if wrong:
        raise ValueError(f"labelled has class {shown(wrong[0])}, there are {classes}")
    return sorted(set(ids))


def _size(row: dict[str, Any], path: Path) -> Size:
    if "width" in row and "height" in row:
        return float(row["width"]), float(row["height"])
    try:
        return picture_size(path)
    except ValueError:  # whoever decodes it will say so
        return UNKNOWN_SIZE
