"""Average precision of the bundled models, FP32 and INT8, on the val split of a labelled folder.

    python -m benchmarks.accuracy --data FOLDER [--json FILE]

FOLDER is a set of pictures as `detectors.training.data` reads it. Each class is evaluated only on
pictures that label it. Besides over all pictures, over those of each source of `index.jsonl`, and
over dark ones (mean below `DARK` of 255), where there are at least `LEAST`: conditions differ more
than models do. `eyrie model evaluate` tells more by class and size, and of any model.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.detector import MODELS
from benchmarks.machine import describe
from detectors.evaluation import Metrics, Truth, evaluate, find
from detectors.training.data import DataFault, Picture, read_dataset, read_image
from detectors.yolo_nas.detector import resolve
from detectors.yolo_nas.predict.predictor import YoloNAS

DARK, LEAST = 70, 20


def groups(pictures: Sequence[Picture], folder: Path) -> dict[str, list[int]]:
    """Positions of the pictures of each condition."""
    rows = map(json.loads, (folder / "index.jsonl").read_text(encoding="utf-8").splitlines())
    sources = {folder / row["image"]: str(row.get("source", "unnamed")) for row in rows}
    found: dict[str, list[int]] = {}
    for n, picture in enumerate(pictures):
        found.setdefault(sources[picture.path], []).append(n)
        if read_image(picture.path).mean() < DARK:
            found.setdefault("dark", []).append(n)
    return {name: members for name, members in found.items() if len(members) >= LEAST}


def measure(model: Path, folder: Path, *, by_condition: bool = True) -> dict[str, Any]:
    """Metrics of one model on the val split, ready for JSON; `conditions` are those of `groups`."""
    network = YoloNAS.load(model)
    names = network.processing.class_names
    data = read_dataset(folder, "val").selected(names)
    faults: list[DataFault] = []
    pictures, found = zip(*find(network, data.pictures, faults), strict=True)
    if faults:
        raise SystemExit(f"a picture cannot be read: {faults[0]}")
    truths = [Truth.of(picture) for picture in pictures]
    conditions = {
        condition: {"pictures": len(members)}
        | _boxed(
            evaluate([found[n] for n in members], [truths[n] for n in members], len(names)), names
        )
        for condition, members in (groups(pictures, folder) if by_condition else {}).items()
    }
    metrics = evaluate(found, truths, len(names)).named(names)
    return {"model": model.name, "pictures": len(pictures)} | metrics | {"conditions": conditions}


def _boxed(metrics: Metrics, names: Sequence[str]) -> dict[str, Any]:
    """Figures without the classes that have no box."""
    named = metrics.named(names)
    ap50 = {
        name: value
        for name, value in zip(names, metrics.ap50.round(4).tolist(), strict=True)
        if value == value
    }
    return named | {"ap50": ap50}


def main() -> None:
    parser = argparse.ArgumentParser(description="Accuracy of the bundled models.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    metrics = {name: measure(resolve(name), arguments.data) for name in MODELS}
    for name, of_model in metrics.items():
        print(f"{name}: {of_model}")
    if arguments.json:
        figures = {"machine": describe(), "data": arguments.data.name, "models": metrics}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
