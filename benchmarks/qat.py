"""What training with fake quantization gives back of what post-training quantization loses.

    python -m benchmarks.qat --data FOLDER [--pictures N] [--size PX] [--spread OCTAVES] [--lr LR]

FOLDER is a set of pictures as `detectors.training.data` reads it, with the splits train and val.
One checkpoint becomes four files, measured on val by ONNX Runtime: float; quantized after training;
trained in 8 bits; and the weights of that in float, for what any further training does. Nothing is
chosen by val: the network is that of the last step. A run that was interrupted goes on.

`--spread` makes the network hard to quantize without changing what it computes in float: channels
between two convolutions grow by up to 2^OCTAVES, and the kernels that read them shrink by as much,
which a ReLU lets through (Nagel et al., "Data-Free Quantization", arXiv 1906.04721, in reverse).
Then one range cannot serve all channels of a tensor.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import onnx
import torch
from torch import nn

from benchmarks.machine import ROOT, describe
from detectors.evaluation import evaluate_model
from detectors.quantize.clipping import METHODS, Method
from detectors.quantize.post_training import FLOAT_PARTS, quantized
from detectors.quantize.qat import START, START_FACTS, TRAINED, Start, finish, rules_of_thumb
from detectors.training.data import Folder, read_dataset
from detectors.training.recipes import PRESETS, Length, Recipe
from detectors.training.state import LAST
from detectors.training.trainer import Trainer
from detectors.yolo_nas.architecture.model import YoloNASModule
from detectors.yolo_nas.checkpoints import checkpoint
from detectors.yolo_nas.predict.predictor import YoloNAS

FLOAT, PTQ, QAT, QAT_FLOAT = "float", "ptq", "qat", "qat_weights_in_float"

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One network, one way to quantize it, one recipe to repair it."""

    data: Path
    model: Path
    pictures: int
    size_px: int
    method: Method
    calibration_pictures: int
    everything: bool
    spread: float
    learn_ranges: bool
    lr: float | None
    batch: int | None
    every: int

    def recipe(self, source: checkpoint.Checkpoint) -> Recipe:
        """By the rules of thumb, after the recipe for fine-tuning; and what the case changes."""
        preset = rules_of_thumb(PRESETS["finetune"], learn_ranges=self.learn_ranges)
        preset = replace(preset, budget=Length(self.pictures, "pictures"))
        if self.lr is not None:
            preset = replace(preset, lr=self.lr)
        if self.batch is not None:
            preset = replace(preset, batch=self.batch)
        names = source.processing.class_names
        train = read_dataset(self.data, "train").selected(names).pictures
        return Recipe(
            source.variant,
            names,
            (Folder(self.data),),
            preset.schedule(len(train), self.size_px),
            bf16=False,
            start=str(self.model),
            **preset.of_recipe(),
        )

    def folder(self, runs: Path) -> Path:
        """Its own for every run that may end differently."""
        kind = f"{self.method}{self.calibration_pictures}{'-all' if self.everything else ''}"
        learnt = "-learnt" if self.learn_ranges else ""
        lr = "" if self.lr is None else f"-lr{self.lr:g}"
        of = f"{self.model.stem}-{self.size_px}px-spread{self.spread:g}-{kind}"
        return runs / f"{of}-{self.pictures}{lr}{learnt}"


class Unmeasured(Trainer):
    """A run that does not look at val, so that nothing is chosen by it."""

    def evaluate(self, **about: str) -> float | None:
        return None


def spread_out(source: checkpoint.Checkpoint, octaves: float) -> checkpoint.Checkpoint:
    """The same network in float; channels with one known set of readers grow by 2^0..2^octaves."""
    model = source.module()
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for bn, readers in _links(model):
            factors = 2 ** (octaves * torch.rand(len(bn.weight), generator=rng))
            bn.weight.mul_(factors)
            bn.bias.mul_(factors)
            for conv in readers:
                repeats = conv.weight.shape[1] // len(factors)
                conv.weight.div_(factors.repeat(repeats)[None, :, None, None])
    return replace(source, state=model.state_dict())


def _links(model: YoloNASModule) -> Iterator[tuple[nn.BatchNorm2d, list[nn.Conv2d]]]:
    """Batch norms before a ReLU, and all convolutions that read what comes out, pooled or not."""

    def conv(name: str) -> nn.Conv2d:
        return cast(nn.Conv2d, model.get_submodule(name))

    def bn(name: str) -> nn.BatchNorm2d:
        return cast(nn.BatchNorm2d, model.get_submodule(name))

    yield bn("backbone.context_module.cv1.bn"), [conv("backbone.context_module.cv2.conv")]
    for neck in ("neck.neck1", "neck.neck2"):
        yield bn(f"{neck}.reduce_skip2.bn"), [conv(f"{neck}.downsample.conv")]
        yield (
            bn(f"{neck}.reduce_after_concat.bn"),
            [conv(f"{neck}.blocks.conv{n}.conv") for n in (1, 2)],
        )
    for level in ("heads.head1", "heads.head2", "heads.head3"):
        towers = [f"{level}.{kind}_convs.0.seq" for kind in ("cls", "reg")]
        yield bn(f"{level}.stem.seq.bn"), [conv(f"{tower}.conv") for tower in towers]
        for tower, end in zip(towers, ("cls_pred", "reg_pred"), strict=True):
            yield bn(f"{tower}.bn"), [conv(f"{level}.{end}")]


def run(case: Case, runs: Path) -> Result:
    """Files of all four kinds, and how long training took."""
    source, folder = spread_out(checkpoint.read(case.model), case.spread), case.folder(runs)
    recipe = case.recipe(source)
    if (folder / START_FACTS).is_file():
        start = Start.read(folder)
    else:
        start = Start.made(
            source,
            recipe,
            folder,
            str(case.data),
            pictures=case.calibration_pictures,
            method=case.method,
            skip=() if case.everything else FLOAT_PARTS,
            learn_ranges=case.learn_ranges,
        )
    onnx.save(quantized(start.calibration, start.skip), folder / f"{PTQ}.onnx")
    resume = (folder / LAST).is_file()
    trainer = Unmeasured(recipe, folder, resume=resume, network=start.network(recipe))
    began, seen = time.monotonic(), trainer.seen
    outcome = trainer.run()
    if not outcome.finished:
        raise SystemExit(f"stopped after {outcome.seen} pictures; run it again")
    took_s = time.monotonic() - began
    finish(start, recipe, folder, folder / f"{QAT}.onnx", {})
    scored = {
        FLOAT: scores(folder / START, case),
        PTQ: scores(folder / f"{PTQ}.onnx", case),
        QAT: scores(folder / f"{QAT}.onnx", case),
        QAT_FLOAT: scores(folder / f"{TRAINED}.onnx", case),
    }
    return {
        "scores": scored,
        "recipe": recipe.plain() | {"folders": case.data.name, "start": case.model.name},
        "float_layers": len(start.skip),
        "training": {"pictures": outcome.seen - seen, "seconds": round(took_s, 1)},
    }


def scores(file: Path, case: Case) -> dict[str, float]:
    """AP of COCO and AP at IoU 0.5, in points, on val, or on every so many of its pictures."""
    val = read_dataset(case.data, "val")
    val = replace(val, pictures=val.pictures[:: case.every])
    found = evaluate_model(YoloNAS.load(file), val).scores
    named = {"ap": found.map50_95, "ap50": found.map50}
    print(file.name, named, flush=True)
    return {name: round(100 * value, 3) for name, value in named.items()}


def recovered(scored: dict[str, dict[str, float]]) -> dict[str, float]:
    """Points of AP that quantizing costs, and that training in 8 bits gives back."""
    values = {kind: of_kind["ap"] for kind, of_kind in scored.items()}
    return {
        "ptq_loses": round(values[FLOAT] - values[PTQ], 3),
        "qat_gives_back": round(values[QAT] - values[PTQ], 3),
        "qat_below_float": round(values[FLOAT] - values[QAT], 3),
    }


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(description="Post-training quantization against QAT.")
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--model", type=Path, default=ROOT / "detectors/weights/yolo_nas_n.pth")
    p.add_argument("--pictures", type=int, default=2000, help="of training")
    p.add_argument("--size", type=int, default=320, help="side of the pictures, px")
    p.add_argument("--method", choices=METHODS, default="max")
    p.add_argument("--calibration-pictures", type=int, default=100)
    p.add_argument("--everything", action="store_true", help="predictions in 8 bits too")
    p.add_argument("--spread", type=float, default=0.0, help="octaves between channels")
    p.add_argument("--learn-amax", action="store_true")
    p.add_argument("--lr", type=float, help="default: a hundredth of that of fine-tuning")
    p.add_argument("--batch", type=int)
    p.add_argument("--every", type=int, default=1, help="measure every so many val pictures")
    p.add_argument("--threads", type=int, default=0, help="0: as many as there are cores")
    p.add_argument("--runs", type=Path, default=ROOT / "build/qat")
    p.add_argument("--json", type=Path)
    return p


def main() -> None:
    a = parser().parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    if a.threads:
        torch.set_num_threads(a.threads)
    case = Case(
        a.data,
        a.model,
        a.pictures,
        a.size,
        a.method,
        a.calibration_pictures,
        a.everything,
        a.spread,
        a.learn_amax,
        a.lr,
        a.batch,
        a.every,
    )
    result = run(case, a.runs)
    made = {
        "machine": describe() | {"torch": torch.__version__},
        "command": "python -m benchmarks.qat " + " ".join(sys.argv[1:]),
        "data": case.data.name,
        "spread_octaves": case.spread,
        "measured_every": case.every,
        "calibration": {"method": case.method, "pictures": case.calibration_pictures},
        **result,
        "points": recovered(result["scores"]),
    }
    print(json.dumps(made["points"], indent=2))
    if a.json:
        a.json.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
