"""Training from the command line: progress, then tables, plots and what to do next."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from detectors.evaluation.average_precision import Metrics
from detectors.training.distributed import Processes, joined
from detectors.training.precision import device
from detectors.training.recipes import Recipe
from detectors.training.report import Unwatched, Watcher
from detectors.training.state import AVERAGE, BEST, LAST, saved_recipe
from detectors.training.trainer import Outcome, Trainer
from detectors.training.validation import Verdict
from pipeline.cli.model.train_plan import Data, Plan, new_plan, next_plan
from pipeline.cli.model.train_request import Request
from pipeline.core.errors import ConfigError
from pipeline.core.log import get_logger

if TYPE_CHECKING:
    from detectors.yolo_nas.architecture.model import YoloNASModule
    from detectors.yolo_nas.checkpoints.checkpoint import Checkpoint

log = get_logger("detectors.training")

ESTIMATE_S = 600.0  # steps take seconds, evaluations between them a minute


def run_training(request: Request) -> int:
    """Train as asked; print how it went: the exit code."""
    if request.threads:
        torch.set_num_threads(request.threads)
    where = device(request.device)
    with joined(where) as processes:
        console = Console(quiet=request.quiet or not processes.first, highlight=False)
        with progress(request, processes) as watcher:
            plan, source = _plan(request)
            trainer = new_trainer(plan.recipe, source, request, where, processes, watcher)
            for note in (*announced(plan, trainer.seen, where), *trainer.learner.notes):
                console.print(note, markup=False, soft_wrap=True)
            outcome = trainer.run(request.stop_at)
        if processes.first:
            _tell(outcome, trainer.recipe, request, console)
    return 0


def _plan(request: Request) -> tuple[Plan, "Checkpoint | None"]:
    """The plan, and the checkpoint to begin from."""
    if request.resume:
        before = saved_recipe(request.out)
        return (next_plan(request, before) if before else new_plan(request, None)), None
    if (request.out / LAST).exists():
        why = f"{request.out / LAST} is of an earlier run: --resume it, or name another folder"
        raise ConfigError("--out", why)
    if request.start is None:
        return new_plan(request, None), None
    from detectors.yolo_nas.checkpoints.checkpoint import read

    start = read(request.start, accept_licence=request.accept_licence, sha256=request.sha256)
    return new_plan(request, start), start


def new_trainer(
    recipe: Recipe,
    source: "Checkpoint | None",
    request: Request,
    where: torch.device,
    processes: Processes,
    watcher: "Watcher",
    network: "YoloNASModule | None" = None,
) -> Trainer:
    """The trainer that the options ask for; see `Learner` for `source` and `network`."""
    trainer = Trainer(
        recipe,
        request.out,
        resume=request.resume,
        source=source,
        network=network,
        device=where,
        processes=processes,
        watcher=watcher,
        workers=request.workers,
    )
    trainer.pace.evaluate_s, trainer.pace.log_steps = request.evaluate_s, request.log_steps
    if isinstance(watcher, _Bar):
        watcher.begin(recipe.schedule.total, trainer.seen)
    return trainer


def announced(plan: Plan, seen: int, where: torch.device) -> Iterator[str]:
    """What will be done, line by line."""
    recipe, data = plan.recipe, plan.data
    yield f"classes: {', '.join(recipe.class_names)}"
    if data is not None:
        yield from _described(data)
    total, per_step = recipe.schedule.total, recipe.batch * recipe.accumulate
    passes = f" = {total / sum(data.train):.3g} passes over the data" if data else ""
    begun = f", {seen} of them seen" if seen else ""
    yield f"budget: {total} pictures = {-(-total // per_step)} steps of {per_step}{passes}{begun}"
    sides = ", then ".join(str(side) for _, side in recipe.schedule.sizes_px)
    yield f"{recipe.variant}, recipe {plan.name}, pictures of {sides} px, on {where}"


def _described(data: Data) -> Iterator[str]:
    for folder, train, val in zip(data.folders, data.train, data.val, strict=True):
        yield f"{folder.path}: {train} train and {val} val pictures"
    if data.not_learnt:
        yield f"in the data but not learnt: {', '.join(data.not_learnt)}"
    if not any(data.val):
        yield f"no val split: nothing will be measured, and {LAST} will be the result"


@contextmanager
def progress(request: Request, processes: Processes) -> Iterator["Watcher"]:
    """A bar on a terminal; elsewhere the lines of the log."""
    if request.quiet or not processes.first:
        yield Unwatched()
    elif sys.stderr.isatty():
        with _Bar() as bar:
            yield bar
    else:
        before = log.level
        log.setLevel("INFO")
        try:
            yield Unwatched()
        finally:
            log.setLevel(before)


class _Bar:
    """Pictures of the budget, the loss, and each evaluation as a line above."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("pictures"),
            TimeRemainingColumn(),
            console=Console(stderr=True, highlight=False),
            speed_estimate_period=ESTIMATE_S,
        )
        self._task = self._progress.add_task("begins", total=None)

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, total: int, seen: int) -> None:
        self._progress.update(self._task, total=total, completed=seen)

    def stepped(self, step: int, seen: int, loss: float) -> None:
        """See `Watcher`."""
        text = f"step {step}  loss {loss:.3f}"
        self._progress.update(self._task, completed=seen, description=text)

    def evaluated(self, folder: str, metrics: Metrics) -> None:
        """See `Watcher`."""
        self._progress.console.print(f"{folder}: {_scores(metrics)}", markup=False)


def _tell(outcome: Outcome, recipe: Recipe, request: Request, console: Console) -> None:
    """The tables of the last evaluation, where the files are, and what comes next."""
    out = request.out
    measured = LAST if outcome.average is None else AVERAGE
    for verdict in outcome.verdicts:
        title = f"{measured} on {verdict.name}, {len(verdict.pictures)} val pictures"
        console.print(title, markup=False, soft_wrap=True)
        console.print(table(verdict, recipe.class_names))
    total = recipe.schedule.total
    console.print(f"step {outcome.step}, {outcome.seen} of {total} pictures")
    if outcome.faults:
        console.print(f"{len(outcome.faults)} faults in the data, the last: {outcome.faults[-1]}")
    for name, score in ((BEST, outcome.best), (AVERAGE, outcome.average)):
        if score is not None:
            console.print(f"{out / name}: {recipe.watch} {score:.4f}", soft_wrap=True)
    if not outcome.finished:
        again = f"eyrie model train --out {shlex.quote(str(out))} --resume"
        console.print(f"not finished; go on with: {again}", soft_wrap=True)
        return
    from detectors.training.plots import draw

    for path in draw(out, outcome.verdicts, recipe.class_names):
        console.print(f"plot: {path}", soft_wrap=True)
    console.print(_next_commands(outcome, recipe, request), soft_wrap=True)


def table(verdict: Verdict, class_names: Sequence[str]) -> Table:
    """Average precision by class."""
    table = Table()
    table.add_column("class")
    table.add_column("AP50", justify="right")
    table.add_column("AP", justify="right")
    metrics = verdict.metrics
    for name, ap50, ap in zip(class_names, metrics.ap50, metrics.ap50_95, strict=True):
        table.add_row(name, _score(ap50), _score(ap))
    table.add_row("mean", _score(metrics.map50), _score(metrics.map50_95))
    return table


def _next_commands(outcome: Outcome, recipe: Recipe, request: Request) -> str:
    better = (outcome.average or 0.0) > (outcome.best or 0.0)
    name = AVERAGE if better else BEST if outcome.best is not None else LAST
    model = shlex.quote(str(request.out / name))
    data = shlex.quote(str(recipe.folders[0].path))
    return f"next:\n  eyrie model evaluate {model} --data {data}\n  eyrie model export {model}"


def _scores(metrics: Metrics) -> str:
    return f"map50 {_score(metrics.map50)}, map50_95 {_score(metrics.map50_95)}"


def _score(value: float) -> str:
    """Three digits; a dash where there was no box to be found."""
    return f"{value:.3f}" if np.isfinite(value) else "–"
