"""Which format a location is in."""

from __future__ import annotations

from pathlib import Path

from detectors.training.data.coco import find_annotations, read_coco
from detectors.training.data.dataset import Dataset
from detectors.training.data.files import is_there
from detectors.training.data.index import INDEX, read_index_folder
from detectors.training.data.yolo import DESCRIPTION, read_yolo
from pipeline.core.errors import ConfigError


def read_dataset(
    location: str | Path, split: str, *, images: Path | None = None, empty_ok: bool = False
) -> Dataset:
    """One split of a set of pictures with boxes.

    `location` is a folder with `index.jsonl`, with `data.yaml` (YOLO) or with `annotations/`
    (COCO), or one of these files. A COCO annotation file is one split by itself, whatever `split`
    says; its pictures are in `images`, or found near it. What is wrong with single pictures and
    boxes is in the dataset's `faults`. Raises `ConfigError` when there is no such location, when
    its format is unknown or broken, and, unless `empty_ok`, when no picture is left.
    """
    place = Path(location)
    if not is_there(place):
        raise ConfigError(str(location), "no such folder or file")
    dataset = _read(place, split, images)
    if not dataset.pictures and not empty_ok:
        why = f"; {dataset.summary()}" if dataset.faults else ""
        raise ConfigError(str(location), f"has no picture of the split {split!r}{why}")
    return dataset


def _read(place: Path, split: str, images: Path | None) -> Dataset:
    if place.is_file():
        if place.name == INDEX:
            return read_index_folder(place.parent, split)
        if place.suffix in (".yaml", ".yml"):
            return read_yolo(place, split)
        if place.suffix == ".json":
            return read_coco(place, images)
        raise ConfigError(str(place), f"is none of {INDEX}, a .yaml and a COCO .json file")
    if (place / INDEX).is_file():
        return read_index_folder(place, split)
    if (place / DESCRIPTION).is_file():
        return read_yolo(place / DESCRIPTION, split)
    annotations = find_annotations(place, split)
    if annotations is not None:
        return read_coco(annotations, images)
    if (place / "annotations").is_dir() or list(place.glob("*/_annotations.coco.json")):
        return Dataset(place, (), [])
    raise ConfigError(
        str(place), f"holds neither {INDEX} nor {DESCRIPTION} nor annotations/instances_*.json"
    )
