"""Average precision of the bundled models, FP32 and INT8, on the val split of a labelled folder.

    python -m benchmarks.accuracy --data FOLDER [--json FILE]

FOLDER has an `index.jsonl` as `detectors.training.data` reads it. Each class is evaluated only on
pictures that label it.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.detector import MODELS
from benchmarks.machine import describe
from detectors.evaluate import evaluate_model
from detectors.yolo_nas.detector import resolve


def measure(folder: Path) -> dict[str, Any]:
    """Metrics by model."""
    return {name: evaluate_model(resolve(name), folder) for name in MODELS}


def main() -> None:
    parser = argparse.ArgumentParser(description="Accuracy of the bundled models.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    metrics = measure(arguments.data)
    for name, of_model in metrics.items():
        print(f"{name}: {of_model}")
    if arguments.json:
        figures = {"machine": describe(), "data": arguments.data.name, "models": metrics}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
