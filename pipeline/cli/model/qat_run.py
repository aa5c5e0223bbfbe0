"""Quantization-aware training from the command line: plan, calibration, training, the file."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from detectors.quantize.clipping import Method
from detectors.quantize.post_training import FLOAT_PARTS
from detectors.quantize.qat import Start, finish, rules_of_thumb
from detectors.training.distributed import ALONE
from detectors.training.precision import device
from detectors.training.state import LAST, saved_recipe
from detectors.training.trainer import Outcome, Trainer
from detectors.yolo_nas import checkpoint
from pipeline.cli.model.train_request import Plan, Request, new_plan, next_plan
from pipeline.cli.model.train_run import announced, new_trainer, progress, table
from pipeline.core.errors import ConfigError

ALL_IN_8_BITS = "none"
SCORES = "untrained.json"


@dataclass(frozen=True, slots=True)
class QatRequest:
    """The options of `eyrie model qat`, as its help explains them; None where not given."""

    checkpoint: str | None
    out: Path
    data: tuple[str, ...]
    run: Path
    calibrate: str | None
    calibration_pictures: int | None
    method: Method
    skip: tuple[str, ...] | None
    learn_amax: bool
    recipe: str
    pictures: int | None
    epochs: float | None
    batch: int | None
    lr: float | None
    size: int | None
    changes: tuple[str, ...]
    seed: int | None
    device: str
    threads: int
    workers: int
    evaluate_s: float
    stop_at: int | None
    resume: bool
    accept_licence: bool
    sha256: str | None
    quiet: bool

    @property
    def parts(self) -> tuple[str, ...]:
        """Of names of convolutions that stay float."""
        if self.skip is None:
            return FLOAT_PARTS
        return () if self.skip == (ALL_IN_8_BITS,) else self.skip

    def of_training(self, class_names: Sequence[str] | None) -> Request:
        """The same as options of `eyrie model train`."""
        return Request(
            out=self.run,
            data=self.data,
            recipe=self.recipe,
            variant=None,
            start=self.checkpoint,
            accept_licence=self.accept_licence,
            sha256=self.sha256,
            classes=",".join(class_names) if class_names else None,
            freeze=None,
            pictures=self.pictures,
            epochs=self.epochs,
            batch=self.batch,
            accumulate=None,
            lr=self.lr,
            warmup=None,
            sizes=None if self.size is None else str(self.size),
            weight_decay=None,
            ema=None,
            changes=self.changes,
            teacher=None,
            distill_weight=None,
            seed=self.seed,
            float32=True,  # bfloat16 has as many digits as the grid that is trained for
            device=self.device,
            threads=self.threads,
            workers=self.workers,
            evaluate_s=self.evaluate_s,
            log_steps=20,
            stop_at=self.stop_at,
            resume=self.resume,
            quiet=self.quiet,
        )


def run_qat(asked: QatRequest) -> int:
    """Train as asked, write the file, print how it went: the exit code."""
    if asked.threads:
        torch.set_num_threads(asked.threads)
    where = device(asked.device)
    console = Console(quiet=asked.quiet, highlight=False)
    plan, start = _continued(asked) if asked.resume else _begun(asked, console)
    request = asked.of_training(None)
    with progress(request, ALONE) as watcher:
        network = start.network(plan.recipe)
        trainer = new_trainer(plan.recipe, None, request, where, ALONE, watcher, network)
        for note in announced(plan, trainer.seen, where):
            console.print(note, markup=False, soft_wrap=True)
        untrained = _untrained(trainer, asked)
        outcome = trainer.run(asked.stop_at)
    _tell(outcome, untrained, start, plan, asked, console)
    return 0


def _begun(asked: QatRequest, console: Console) -> tuple[Plan, Start]:
    """The plan of a new run, and what it starts with, both written to its folder."""
    if asked.checkpoint is None:
        raise ConfigError("CHECKPOINT", "name the checkpoint to quantize, or --resume a run")
    if (asked.run / LAST).exists():
        why = f"{asked.run / LAST} is of an earlier run: --resume it, or name another folder"
        raise ConfigError("--run", why)
    source = checkpoint.read(
        asked.checkpoint, accept_licence=asked.accept_licence, sha256=asked.sha256
    )
    rules = partial(rules_of_thumb, learn_ranges=asked.learn_amax)
    plan = new_plan(asked.of_training(source.processing.class_names), source, rules)
    plan = replace(plan, name=f"qat after {plan.name}")
    data = asked.calibrate or str(plan.recipe.folders[0].path)
    start = Start.made(
        source,
        plan.recipe,
        asked.run,
        data,
        pictures=asked.calibration_pictures,
        method=asked.method,
        skip=asked.parts,
        learn_ranges=asked.learn_amax,
    )
    console.print(f"calibrated on {start.calibration.told['pictures']} pictures of {data}")
    return plan, start


def _continued(asked: QatRequest) -> tuple[Plan, Start]:
    before = saved_recipe(asked.run)
    if asked.checkpoint is not None:
        raise ConfigError("CHECKPOINT", "a run that goes on has its own: leave it out")
    if before is None:
        raise ConfigError("--resume", f"{asked.run / LAST} does not say how it was trained")
    return next_plan(asked.of_training(None), before), Start.read(asked.run)


def _untrained(trainer: Trainer, asked: QatRequest) -> float | None:
    """The watched metric before the first step: that of post-training quantization."""
    kept = asked.run / SCORES
    if asked.resume and kept.is_file():
        found: float | None = json.loads(kept.read_text(encoding="utf-8"))
        return found
    score = trainer.evaluate(of="untrained")
    kept.write_text(json.dumps(score), encoding="utf-8")
    return score


def _tell(
    outcome: Outcome,
    untrained: float | None,
    start: Start,
    plan: Plan,
    asked: QatRequest,
    console: Console,
) -> None:
    """Write the file of a finished run; what was reached, and what comes next."""
    recipe, out = plan.recipe, asked.out
    for verdict in outcome.verdicts:
        console.print(f"at the end, in 8 bits, on {verdict.name}", markup=False, soft_wrap=True)
        console.print(table(verdict, recipe.class_names))
    if not outcome.finished:
        run = f"--out {shlex.quote(str(out))} --run {shlex.quote(str(asked.run))}"
        again = f"eyrie model qat {run} --resume"
        console.print(f"not finished; go on with: {again}", soft_wrap=True)
        return
    scores = {"watched": recipe.watch, "untrained": untrained, "trained": outcome.best}
    finish(start, recipe, asked.run, out, scores)
    console.print(f"{out}: {out.stat().st_size / 1e6:.2f} MB", soft_wrap=True)
    if untrained is None or outcome.best is None:
        console.print("no val split: nothing was measured")
        return
    console.print(
        f"{recipe.watch} in 8 bits: {untrained:.4f} untrained, {outcome.best:.4f} trained"
    )
    if outcome.best <= untrained:
        console.print("training has not helped: eyrie model quantize makes as good a file")
    data = shlex.quote(str(recipe.folders[0].path))
    console.print(f"next:\n  eyrie model evaluate {shlex.quote(str(out))} --data {data}")
