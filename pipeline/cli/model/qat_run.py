"""Quantization-aware training from the command line: plan, calibration, training, the file."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from rich.console import Console

from detectors.quantize.post_training import FLOAT_PARTS
from detectors.quantize.qat import Start, finish, rules_of_thumb
from detectors.training.distributed import ALONE
from detectors.training.precision import device
from detectors.training.state import LAST, saved_recipe
from detectors.training.trainer import Outcome, Trainer
from detectors.yolo_nas.checkpoints import checkpoint
from pipeline.cli.model.qat_request import Request
from pipeline.cli.model.train_plan import Plan, new_plan, next_plan
from pipeline.cli.model.train_run import announced, new_trainer, progress, table
from pipeline.core.errors import ConfigError

ALL_IN_8_BITS = "none"
SCORES = "untrained.json"


def run_qat(asked: Request) -> int:
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


def _begun(asked: Request, console: Console) -> tuple[Plan, Start]:
    """The plan of a new run, and what it starts with, both written to its folder."""
    if asked.checkpoint is None:
        raise ConfigError("CHECKPOINT", "name the checkpoint to quantize, or --resume a run")
    if (asked.folder / LAST).exists():
        why = f"{asked.folder / LAST} is of an earlier run: --resume it, or name another folder"
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
        asked.folder,
        data,
        pictures=asked.calibration_pictures,
        method=asked.method,
        skip=_parts(asked),
        learn_ranges=asked.learn_amax,
    )
    console.print(f"calibrated on {start.calibration.told['pictures']} pictures of {data}")
    return plan, start


def _parts(asked: Request) -> Sequence[str]:
    """The parts of names of convolutions that stay float."""
    if not asked.skip:
        return FLOAT_PARTS
    return () if asked.skip == [ALL_IN_8_BITS] else asked.skip


def _continued(asked: Request) -> tuple[Plan, Start]:
    before = saved_recipe(asked.folder)
    if asked.checkpoint is not None:
        raise ConfigError("CHECKPOINT", "a run that goes on has its own: leave it out")
    if before is None:
        raise ConfigError("--resume", f"{asked.folder / LAST} does not say how it was trained")
    return next_plan(asked.of_training(None), before), Start.read(asked.folder)


def _untrained(trainer: Trainer, asked: Request) -> float | None:
    """The watched metric before the first step: that of post-training quantization."""
    kept = asked.folder / SCORES
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
    asked: Request,
    console: Console,
) -> None:
    """Write the file of a finished run; what was reached, and what comes next."""
    recipe, out = plan.recipe, asked.out
    for verdict in outcome.verdicts:
        console.print(f"at the end, in 8 bits, on {verdict.name}", markup=False, soft_wrap=True)
        console.print(table(verdict, recipe.class_names))
    if not outcome.finished:
        run = f"--out {shlex.quote(str(out))} --run {shlex.quote(str(asked.folder))}"
        again = f"eyrie model qat {run} --resume"
        console.print(f"not finished; go on with: {again}", soft_wrap=True)
        return
    scores = {"watched": recipe.watch, "untrained": untrained, "trained": outcome.best}
    finish(start, recipe, asked.folder, out, scores)
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
