"""An FP32 file as a hybrid INT8 file, with what led to it in files beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx

from detectors.engines.device import cpu_name
from detectors.engines.open import EngineOptions
from detectors.quantize.calibrate import Method
from detectors.quantize.forms import Forms
from detectors.quantize.frontier import draw, evidence, report
from detectors.quantize.hybrid import Outcome, Search, Watch
from detectors.quantize.journal import Journal
from detectors.quantize.post_training import PICTURES, Calibration, calibrated, quantized
from detectors.quantize.validation import Validation
from detectors.training.data import read_dataset
from detectors.yolo_nas.attach_proof import attach

SUBSET = 300
FORMAT = 1  # of the journal: raised when its results change their meaning
SPLIT = "val"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to search. `calibrate` and `validate` are data sets as `read_dataset` takes them, of
    which the splits train and val are used; `validate` is by default the same data. `subset`
    pictures judge, by default at most `SUBSET`. For the rest see `post_training.calibrated`."""

    source: Path
    out: Path
    calibrate: str
    validate: str | None = None
    subset: int = SUBSET
    pictures: int | None = None
    method: Method = "mse"
    seed: int = 0
    options: EngineOptions = field(default_factory=lambda: EngineOptions(engine="onnxruntime"))

    @property
    def report_file(self) -> Path:
        """JSON: every layer and every set of layers that was judged."""
        return self.out.with_suffix(".json")

    @property
    def plot_file(self) -> Path:
        """PNG: points lost over milliseconds."""
        return self.out.with_suffix(".png")

    @property
    def journal_file(self) -> Path:
        """What was measured, so that a search that is interrupted goes on."""
        return self.out.with_suffix(".search.jsonl")


def hybrid_file(plan: Plan, max_drop: float, watch: Watch = lambda *_: None) -> Outcome:
    """Search, then write `plan.out` and the files beside it.

    Blocks for minutes. A second call with the same plan goes on where one was interrupted; with
    another `max_drop` it repeats only the judgements. Raises `ConfigError` and `EngineLoadError`.
    """
    prepared = Prepared(plan, watch)
    outcome = prepared.search(watch).run(max_drop)
    prepared.write(outcome)
    return outcome


class Prepared:
    """A plan with its pictures read and its network calibrated."""

    def __init__(self, plan: Plan, watch: Watch = lambda *_: None) -> None:
        self.plan = plan
        shown = len(read_dataset(plan.calibrate, "train").pictures)
        most = min(plan.pictures or PICTURES, shown)
        self.calibration = calibrated(
            plan.source,
            plan.calibrate,
            pictures=plan.pictures,
            method=plan.method,
            seed=plan.seed,
            done=lambda count: watch("calibration", count, most),
        )
        data = read_dataset(plan.validate or plan.calibrate, SPLIT)
        self.validation = Validation(data, self.calibration.processing, plan.subset)

    def search(self, watch: Watch = lambda *_: None) -> Search:
        """The search, which goes on from the journal if there is one of the same plan."""
        journal = Journal(self.plan.journal_file, self._key())
        forms = Forms(self.calibration, self.plan.options)
        return Search(forms, self.validation, journal, watch)

    def write(self, outcome: Outcome) -> None:
        """The quantized file, the report and the plot."""
        told = report(outcome, self.about())
        model = quantized(self.calibration, outcome.chosen.left, evidence(told))
        plan = self.plan
        plan.out.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, plan.out)
        attach(plan.out)
        plan.report_file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        chosen = {f"chosen: at most {outcome.max_drop:g} points": outcome.chosen}
        title = f"{plan.source.stem} on {outcome.engine}, {len(self.validation)} pictures"
        draw(outcome.candidates, outcome.known, chosen, title, plan.plot_file)

    def about(self) -> dict[str, Any]:
        """Model, data and settings, ready for JSON."""
        plan = self.plan
        return {
            "model": plan.source.name,
            "model_sha256": _sha256(plan.source.read_bytes()),
            "threads": plan.options.threads,
            "validation": {
                "data": Path(plan.validate or plan.calibrate).name,
                "split": SPLIT,
                "pictures": len(self.validation),
            },
        }

    def _key(self) -> Mapping[str, Any]:
        """What the results of a search depend on."""
        return {
            "format": FORMAT,
            "model_sha256": _sha256(self.plan.source.read_bytes()),
            "ranges_sha256": _ranges_sha256(self.calibration),
            "validation_sha256": self.validation.sha256,
            "engine": self.plan.options.engine,
            "threads": self.plan.options.threads,
            "device": cpu_name(),
        }


def _ranges_sha256(calibration: Calibration) -> str:
    """The checksum of the ranges in five digits: the last ones may depend on how threads share the
    work."""
    rounded = {name: f"{top:.4e}" for name, top in sorted(calibration.ranges.items())}
    return _sha256(json.dumps(rounded).encode())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
