"""COCO JSON: `images`, `annotations` with `bbox` [x, y, width, height], `categories`.

Category ids may have gaps; the classes are the categories in ascending order of id. Every picture
labels every class, unless its entry says otherwise: `labelled`, a list of category ids. A crowd
(`iscrowd`) is kept as such. Pictures lie inside the folder of pictures or of the whole set.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from detectors.training.data.dataset import Dataset, Picture
from detectors.training.data.files import (
    class_name,
    inside,
    is_file,
    parsed_json,
    read_text,
    shown,
)
from detectors.training.data.labels import UNKNOWN_SIZE, Labels, PictureLabels, Size
from detectors.training.data.pixels import picture_size
from pipeline.core.errors import ConfigError

SPLIT_NAMES = {"val": ("val", "valid", "validation"), "train": ("train",), "test": ("test",)}
MALFORMED = (KeyError, TypeError, ValueError, OverflowError)


def find_annotations(folder: Path, split: str) -> Path | None:
    """`annotations/instances_SPLIT*.json`, or `SPLIT/_annotations.coco.json`; None without one."""
    for name in SPLIT_NAMES.get(split, (split,)):
        found = sorted((folder / "annotations").glob(f"instances_{name}*.json"))
        exported = folder / name / "_annotations.coco.json"
        for file in (*found, exported):
            if file.is_file():
                return file
    return None


def read_coco(file: Path, images: Path | None = None) -> Dataset:
    """All pictures of one annotation file, which lie in `images`, by default found beside it.

    Raises `ConfigError` when the file is not COCO JSON.
    """
    root = _Json(file)
    classes = {category: n for n, category in enumerate(sorted(root.names))}
    names = tuple(root.names[category] for category in sorted(root.names))
    labels = Labels(len(names))
    by_image = root.by_image(labels)
    folder = images or _image_folder(file, root.images)
    pictures = []
    for number, entry in root.entries(labels):
        read = _Entry(file, number, entry, folder)
        picture = read.picture(labels, classes, by_image.pop(entry["id"], ()))
        if picture is not None:
            pictures.append(picture)
    for image, lost in by_image.items():
        for annotation in lost:
            labels.boxes_read += 1
            labels.fault(file, _place(annotation), f"there is no image with id {shown(image)}")
    return Dataset(file, names, pictures, labels.faults, labels.boxes_read)


class _Json:
    """The annotation file, its parts of the right kind."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            whole = parsed_json(read_text(file))
        except ValueError as error:
            raise ConfigError(str(file), f"cannot be read as COCO JSON: {error}") from error
        if not isinstance(whole, dict):
            raise ConfigError(str(file), "is not COCO JSON: it must be an object")
        self.images = self._list(whole, "images")
        self._annotations = self._list(whole, "annotations")
        categories = self._list(whole, "categories")
        try:
            self.names = {int(c["id"]): class_name(c["name"]) for c in categories}
        except MALFORMED as error:
            raise ConfigError(str(file), f"has a malformed category: {shown(error)}") from error
        if not self.names or len(set(self.names.values())) < len(categories):
            raise ConfigError(str(file), "needs categories, each id and name once")

    def entries(self, labels: Labels) -> Iterator[tuple[int, dict[str, Any]]]:
        """The images that can be told apart, each id once, with their places in the list."""
        seen: set[int | str] = set()
        for number, entry in enumerate(self.images):
            place = f"images[{number}]"
            name = entry.get("id") if isinstance(entry, dict) else None
            if not isinstance(name, int | str):
                labels.fault(self._file, place, "has no id", "picture")
            elif name in seen:
                what = f"image id {shown(name)} is there already"
                labels.fault(self._file, place, what, "picture")
            else:
                seen.add(name)
                yield number, entry

    def by_image(self, labels: Labels) -> dict[Any, list[dict[str, Any]]]:
        """The annotations of each image id."""
        found: dict[Any, list[dict[str, Any]]] = {}
        for number, annotation in enumerate(self._annotations):
            image = annotation.get("image_id") if isinstance(annotation, dict) else None
            if not isinstance(image, int | str):
                labels.boxes_read += 1
                labels.fault(self._file, f"annotations[{number}]", "has no image_id")
                continue
            found.setdefault(image, []).append(annotation)
        return found

    def _list(self, whole: dict[str, Any], key: str) -> list[Any]:
        found = whole.get(key)
        if not isinstance(found, list):
            raise ConfigError(str(self._file), f"is not COCO JSON: it has no list {key!r}")
        return found


class _Entry:
    """One of `images`."""

    def __init__(self, file: Path, number: int, entry: dict[str, Any], folder: Path) -> None:
        self._file, self._entry, self._folder = file, entry, folder
        self._place = f"images[{number}]"

    def picture(self, labels: Labels, classes: dict[int, int], annotations: Any) -> Picture | None:
        try:
            path = inside(self._entry["file_name"], self._folder, _whole_set(self._file))
            ids = self._entry.get("labelled", classes)
            labelled = [classes[category] for category in ids]
            size = self._size(path)
        except MALFORMED as error:
            labels.fault(self._file, self._place, f"malformed: {shown(error)}", "picture")
            return None
        if not is_file(path):
            what = f"there is no picture {shown(str(path))}"
            labels.fault(self._file, self._place, what, "picture")
            return None
        of_picture = labels.of(size)
        for annotation in annotations:
            _add(of_picture, labels, annotation, classes, self._file)
        return of_picture.picture(path, labelled)

    def _size(self, path: Path) -> Size:
        if "width" in self._entry and "height" in self._entry:
            return float(self._entry["width"]), float(self._entry["height"])
        try:
            return picture_size(path)
        except ValueError:  # whoever decodes it will say so
            return UNKNOWN_SIZE


def _add(
    of_picture: PictureLabels,
    labels: Labels,
    annotation: dict[str, Any],
    classes: dict[int, int],
    file: Path,
) -> None:
    place = _place(annotation)
    try:
        x, y, width, height = (float(value) for value in annotation["bbox"])
        category = int(annotation["category_id"])
        crowd, area = bool(annotation.get("iscrowd", 0)), float(annotation.get("area", math.nan))
    except MALFORMED as error:
        labels.boxes_read += 1
        labels.fault(file, place, f"malformed: {shown(error)}")
        return
    if category not in classes:
        labels.boxes_read += 1
        labels.fault(file, place, f"category {shown(category)} is unknown")
        return
    xyxy = (x, y, x + width, y + height)
    known = area if math.isfinite(area) and area > 0 else None
    of_picture.add(classes[category], xyxy, file, place, crowd=crowd, area=known)


def _place(annotation: dict[str, Any]) -> str:
    return f"annotation {shown(annotation.get('id'))}"


def _image_folder(file: Path, images: list[Any]) -> Path:
    """The folder near the annotation file in which the first picture is."""
    candidates = list(_near(file))
    names = [e["file_name"] for e in images[:20] if isinstance(e, dict) and "file_name" in e]
    for name in names:
        for folder in candidates:
            if is_file(folder / str(name)):
                return folder
    return candidates[0]


def _whole_set(file: Path) -> Path:
    return file.parent.parent if file.parent.name == "annotations" else file.parent


def _near(file: Path) -> Iterator[Path]:
    """Where the pictures of `annotations/instances_val2017.json` usually are, and of others."""
    beside, name = file.parent, file.stem.removeprefix("instances_")
    yield beside
    for root in (beside.parent, beside):
        for split in (name, name.rstrip("0123456789")):
            yield from (root / split, root / "images" / split)
        yield from (root / "images", root)
