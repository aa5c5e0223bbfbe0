"""What a teacher is worth: the same student with and without one, at equal numbers of pictures.

    python -m benchmarks.distillation --data FOLDER [--pictures N] [--size PX] [--seeds N]

FOLDER is a set of pictures as `detectors.training.data` reads it, with the splits train and val.
The student starts from scratch. Both kinds take turns, seed by seed, so that whatever else the
machine does falls on both. A run whose result is there is not made again, one that was interrupted
goes on; `--weight` and the terms' own settings make other runs.
"""

import argparse
import hashlib
import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from benchmarks.machine import ROOT, describe
from detectors.evaluation.average_precision import Metrics
from detectors.training.data import Folder, read_dataset
from detectors.training.recipes import Recipe
from detectors.training.report import numbers
from detectors.training.schedule import Schedule
from detectors.training.state import LAST
from detectors.training.trainer import Trainer
from detectors.training.validation import judge
from detectors.yolo_nas.checkpoints import checkpoint

KINDS = ("plain", "distilled")
RESULT = "result.json"
NEVER_S = float("inf")
WARMUP_SHARE = 0.1
METRICS = ("map50", "map50_95")

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Experiment:
    """One comparison: everything but the seed and whether there is a teacher."""

    data: Path
    teacher: Path
    pictures: int = 10_000
    size_px: int = 192
    weight: float = 1.0
    variant: str = "yolo_nas_n"
    batch: int = 32
    lr: float = 2e-3

    def recipe(self, kind: str, seed: int, class_names: Sequence[str]) -> Recipe:
        """A student's."""
        budget = Schedule(
            self.pictures,
            lr=self.lr,
            warmup=round(self.pictures * WARMUP_SHARE),
            sizes_px=((0.0, self.size_px),),
        )
        recipe = Recipe(
            self.variant,
            tuple(class_names),
            (Folder(self.data),),
            budget,
            batch=self.batch,
            seed=seed,
        )
        if kind == "plain":
            return recipe
        return replace(recipe, teacher=str(self.teacher), distill_weight=self.weight)

    def folder(self, kind: str, seed: int) -> str:
        """Its own for every run that may end differently."""
        guide = f"-{self.teacher.stem}-{self.weight:g}" if kind == "distilled" else ""
        of = f"{self.variant}-{self.size_px}px-{self.pictures}x{self.batch}-lr{self.lr:g}"
        return f"{of}/{kind}{guide}-{seed}"


def run(
    experiment: Experiment, kind: str, seed: int, class_names: Sequence[str], runs: Path
) -> Result:
    """The result of one run: made now, finished now, or read from where it was made before."""
    out = runs / experiment.folder(kind, seed)
    if (out / RESULT).is_file():
        return dict(json.loads((out / RESULT).read_text("utf-8")))
    recipe = experiment.recipe(kind, seed, class_names)
    trainer = Trainer(recipe, out, resume=(out / LAST).is_file())
    trainer.pace.evaluate_s = NEVER_S  # but at the end
    began, seen = time.monotonic(), trainer.seen
    outcome = trainer.run()
    if not outcome.finished:
        raise SystemExit(
            f"{kind}, seed {seed}: stopped after {outcome.seen} pictures; run it again"
        )
    pace = (outcome.seen - seen) / (time.monotonic() - began)
    result: Result = {"kind": kind, "seed": seed, "pictures": outcome.seen}
    result |= numbers(outcome.verdicts[0].metrics.named(class_names))
    result["pictures_per_s"] = round(pace, 2)
    (out / RESULT).write_text(json.dumps(result) + "\n", encoding="utf-8")
    return result


def teacher_alone(experiment: Experiment, class_names: Sequence[str]) -> Metrics:
    """What the teacher reaches on the same val split at the same size."""
    read = checkpoint.read(experiment.teacher)
    if read.processing.class_names != tuple(class_names):
        raise SystemExit(f"{experiment.teacher.name} has other classes than {experiment.data.name}")
    return judge(read.module(), [experiment.data], class_names, experiment.size_px)[0].metrics


def summary(results: Sequence[Result]) -> dict[str, Any]:
    """Mean and standard deviation by kind, and of what the teacher adds seed by seed."""
    by_kind = {kind: [r for r in results if r["kind"] == kind] for kind in KINDS}
    summed: dict[str, Any] = {}
    for kind, of_kind in by_kind.items():
        summed[kind] = {m: spread([r[m] for r in of_kind]) for m in METRICS}
        summed[kind]["pictures_per_s"] = spread([r["pictures_per_s"] for r in of_kind])
    pairs = list(zip(*(by_kind[kind] for kind in KINDS), strict=True))
    gains = {m: [distilled[m] - plain[m] for plain, distilled in pairs] for m in METRICS}
    return summed | {"gain": {m: spread(values) for m, values in gains.items()}}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Mean, standard deviation (0 of one value), least and greatest."""
    deviation = stdev(values) if len(values) > 1 else 0.0
    figures = {"mean": fmean(values), "sd": deviation, "min": min(values), "max": max(values)}
    return {name: round(value, 4) for name, value in figures.items()}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(description="A student with and without a teacher.")
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--teacher", type=Path, default=ROOT / "detectors/weights/yolo_nas_n.pth")
    p.add_argument("--variant", default="yolo_nas_n")
    p.add_argument("--pictures", type=int, default=10_000, help="seen by each student")
    p.add_argument("--size", type=int, default=192, help="side of the pictures, px")
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--weight", type=float, default=1.0, help="of the teacher's part of the loss")
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--threads", type=int, default=0, help="0: as many as there are cores")
    p.add_argument("--runs", type=Path, default=ROOT / "build/distillation")
    p.add_argument("--json", type=Path)
    return p


def figures(experiment: Experiment, results: Sequence[Result], teacher: Metrics) -> dict[str, Any]:
    """Everything that the result file holds."""
    names = read_dataset(experiment.data, "val").class_names
    return {
        "machine": describe() | {"torch": torch.__version__},
        "command": "python -m benchmarks.distillation " + " ".join(sys.argv[1:]),
        "data": experiment.data.name,
        "student": experiment.variant,
        "teacher": {
            "file": experiment.teacher.name,
            "sha256": hashlib.sha256(experiment.teacher.read_bytes()).hexdigest(),
            **numbers(teacher.named(names)),
        },
        "pictures": experiment.pictures,
        "size_px": experiment.size_px,
        "batch": experiment.batch,
        "weight": experiment.weight,
        "summary": summary(results),
        "runs": list(results),
    }


def main() -> None:
    arguments = parser().parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    experiment = Experiment(
        arguments.data,
        arguments.teacher,
        arguments.pictures,
        arguments.size,
        arguments.weight,
        arguments.variant,
        arguments.batch,
        arguments.lr,
    )
    names = read_dataset(experiment.data, "val").class_names
    results = []
    for seed in range(arguments.seeds):
        for kind in KINDS:
            results.append(run(experiment, kind, seed, names, arguments.runs))
            print(json.dumps(results[-1]), flush=True)
    made = figures(experiment, results, teacher_alone(experiment, names))
    print(json.dumps({"teacher": made["teacher"]["map50"]} | made["summary"], indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
