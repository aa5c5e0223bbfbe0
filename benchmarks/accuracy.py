"""Average precision of the bundled models, FP32 and INT8, on the val split of a labelled folder.

    python -m benchmarks.accuracy --data FOLDER [--json FILE]

FOLDER is a set of pictures as `detectors.training.data` reads it. Each class is evaluated only on
pictures that label it. `eyrie model evaluate` tells more, and of any model.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.detector import MODELS
from benchmarks.machine import describe
from detectors.evaluation import Truth, evaluate, find
from detectors.training.data import DataFault, read_dataset
from detectors.yolo_nas.detector import resolve
from detectors.yolo_nas.predict import YoloNAS


def measure(model: Path, folder: Path) -> dict[str, Any]:
    """Metrics of one model on the val split, ready for JSON."""
    network = YoloNAS.load(model)
    names = network.processing.class_names
    data = read_dataset(folder, "val").selected(names)
    faults: list[DataFault] = []
    pictures, found = zip(*find(network, data.pictures, faults), strict=True)
    if faults:
        raise SystemExit(f"a picture cannot be read: {faults[0]}")
    metrics = evaluate(found, [Truth.of(picture) for picture in pictures], len(names))
    return {"model": model.name, "pictures": len(pictures)} | metrics.named(names)


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
