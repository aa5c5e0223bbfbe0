"""The training loop: resumable to the batch, budgeted in pictures, made for CPUs too."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import numpy as np
import torch

from detectors.training import state as files
from detectors.training.data import DataFault, Loader
from detectors.training.distributed import ALONE, Processes
from detectors.training.learner import DivergedError as DivergedError
from detectors.training.learner import Learner, Terms
from detectors.training.precision import CPU, flushed_denormals
from detectors.training.recipes import Recipe as Recipe
from detectors.training.report import Report, Unwatched, Watcher
from detectors.training.validation import Verdict, judge
from pipeline.core.log import get_logger

if TYPE_CHECKING:
    from detectors.yolo_nas.architecture.model import YoloNASModule
    from detectors.yolo_nas.checkpoints.checkpoint import Checkpoint

log = get_logger(__name__)


@dataclass(slots=True)
class Pace:
    """When to write and to evaluate, in seconds of wall clock, and to log, in steps."""

    checkpoint_s: float = 180.0
    evaluate_s: float = 720.0
    log_steps: int = 20
    _last: dict[str, float] = field(default_factory=dict)

    def due(self, what: str, period_s: float) -> bool:
        """Whether `period_s` went by since the last time that this was true; not at first."""
        now = time.monotonic()
        if now - self._last.setdefault(what, now) < period_s:
            return False
        self._last[what] = now
        return True


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. `verdicts` are those of the last evaluation; empty when there was none.

    `best` and `average` are the watched metric of `best.pth` and `average.pth`; None without one.
    `faults` is what was wrong with the data.
    """

    finished: bool
    step: int
    seen: int
    verdicts: tuple[Verdict, ...]
    best: float | None
    average: float | None
    faults: tuple[DataFault, ...]


class Trainer:
    """One run in one directory: `last.pth`, `best.pth`, `average.pth`, and a `Report`'s files.
    Only the first can be gone on from; the others have the averaged weights alone.

    `run` returns when the budget is spent or after SIGTERM or SIGINT, with a checkpoint written;
    a trainer on the same directory with `resume=True` goes on with the next batch, and its losses
    are those of a run that was never interrupted. Only the first of several `processes` writes.
    """

    def __init__(
        self,
        recipe: Recipe,
        out: Path,
        *,
        resume: bool = False,
        source: Checkpoint | None = None,
        network: YoloNASModule | None = None,
        device: torch.device = CPU,
        processes: Processes = ALONE,
        watcher: Watcher | None = None,
        workers: int = 1,
    ) -> None:
        """See `Learner` for `source` and `network`, `Loader` for `workers`. Raises `ConfigError`
        where things do not fit together."""
        self.recipe, self.out = recipe, out
        saved = files.read_last(out) if resume else None
        if saved is not None:
            files.check_same_run(saved, recipe)
        self.learner = Learner(
            recipe,
            saved=saved,
            source=source,
            network=network,
            device=device,
            processes=processes,
        )
        self.pace = Pace()
        self.best: float | None = saved["best"] if saved else None
        self._processes, self._first, self._workers = processes, processes.first, workers
        self._faults: tuple[DataFault, ...] = ()
        self._watcher = watcher or Unwatched()
        self._snapshots = files.Snapshots(out / files.SNAPSHOTS, recipe.average)
        self._report: Report | None = None
        self._verdicts: tuple[Verdict, ...] = ()

    @property
    def seen(self) -> int:
        """Pictures of the budget that are spent."""
        return self.learner.seen

    def run(self, stop_at: int | None = None) -> Outcome:
        """Train until the budget of pictures is spent or a signal asks to stop; or, as if by a
        signal, until step `stop_at`. Raises `DivergedError`, with the last checkpoint kept, and
        `ConfigError` while another run has the directory."""
        self.out.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            if self._first:
                stack.enter_context(files.held(self.out))
                report = Report(self.out, self.recipe.class_names, self.learner.step)
                self._report = stack.enter_context(closing(report))
            if not self._done():
                with closing(self._loader()) as loader, self._stoppable(), flushed_denormals():
                    self._loop(loader, stop_at)
                    self._faults = tuple(loader.faults)
            finished = self._done()
            average = self._average() if finished and self._first else None
        return Outcome(
            finished,
            self.learner.step,
            self.seen,
            self._verdicts,
            self.best,
            average,
            self._faults,
        )

    def evaluate(self, **about: str) -> float | None:
        """Mean over the folders' val splits of the averaged model's watched metric; logs each,
        with what there is to say `about` it. None when no folder has a val split."""
        recipe = self.recipe
        size_px = recipe.schedule.final_px
        datasets = [folder.path for folder in recipe.folders]
        verdicts = judge(self.learner.ema.model, datasets, recipe.class_names, size_px)
        for verdict in verdicts:
            figures = verdict.metrics.named(recipe.class_names)
            self._record(**about, folder=verdict.name, **figures)
            self._watcher.evaluated(" ".join((verdict.name, *about.values())), verdict.metrics)
        self._verdicts = tuple(verdicts)
        return self._score(verdicts)

    def _loop(self, loader: Loader, stop_at: int | None) -> None:
        learner = self.learner
        speed = _Speed(self.seen)
        for batch in loader:
            rate, step = learner.lr, learner.step
            terms = learner.learn(batch)
            if learner.step == step:
                continue
            self._watcher.stepped(learner.step, self.seen, terms["loss"])
            done, stop = self._done(), learner.stop or learner.step == stop_at
            if done or stop or learner.step % self.pace.log_steps == 0:
                self._record_terms(terms, rate, speed.at(self.seen))
            if self._first:
                self._keep(done=done, stop=stop)
            if done or stop:
                return

    def _keep(self, *, done: bool, stop: bool) -> None:
        """Evaluate and write what is due."""
        if done or self.pace.due("evaluate", self.pace.evaluate_s):
            self._keep_best(self.evaluate())
        if done or stop or self.pace.due("checkpoint", self.pace.checkpoint_s):
            state = self.learner.state() | {"best": self.best}
            files.write(files.description(self.recipe) | state, self.out / files.LAST)

    def _keep_best(self, score: float | None) -> None:
        if score is None:
            return
        net = self.learner.ema.model.state_dict()
        self._snapshots.offer(score, self.learner.step, net)
        if self.best is None or score > self.best:
            self.best = score
            self._publish(files.BEST, net, score)

    def _publish(self, name: str, net: dict[str, torch.Tensor], score: float | None) -> None:
        """Write what is to be used, not to be gone on from: averaged weights alone."""
        about = {"step": self.learner.step, "pictures_seen": self.seen, "best": score}
        made = files.description(self.recipe) | {"ema_net": net} | about
        files.write(made, self.out / name)

    def _average(self) -> float | None:
        """Measure the mean of the best snapshots, where there are several, and write it."""
        net = self._snapshots.average()
        if net is None:
            return None
        self.learner.ema.model.load_state_dict(net)
        score = self.evaluate(of="average")
        self._publish(files.AVERAGE, net, score)
        return score

    def _loader(self) -> Loader:
        recipe = self.recipe
        return Loader(
            recipe.folders,
            recipe.class_names,
            recipe.batch,
            recipe.seed,
            recipe.schedule,
            policy=recipe.policy,
            rank=self._processes.rank,
            world=self._processes.size,
            first=self.seen // recipe.batch,
            workers=self._workers,
        )

    def _done(self) -> bool:
        return self.seen >= self.recipe.schedule.total

    def _score(self, verdicts: Sequence[Verdict]) -> float | None:
        scores = [getattr(verdict.metrics, self.recipe.watch) for verdict in verdicts]
        known = [score for score in scores if np.isfinite(score)]
        return float(np.mean(known)) if known else None

    def _record_terms(self, terms: Terms, lr: float, pictures_per_s: float) -> None:
        rounded = {name: round(value, 6) for name, value in terms.items()}
        self._record(**rounded, lr=lr, pictures_per_s=round(pictures_per_s, 2))

    def _record(self, **values: object) -> None:
        if self._report is not None:
            self._report.record(self.learner.step, self.seen, **values)

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        """SIGTERM and SIGINT ask to stop while this lasts; only a main thread hears them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        wanted = (signal.SIGTERM, signal.SIGINT)
        previous = {number: signal.signal(number, self._ask_to_stop) for number in wanted}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _ask_to_stop(self, signum: int, _: FrameType | None) -> None:
        log.info("signal %d: writing a checkpoint and stopping", signum)
        self.learner.stop_asked = True


class _Speed:
    """Pictures per second since it was last asked."""

    def __init__(self, seen: int) -> None:
        self._since, self._seen = time.monotonic(), seen

    def at(self, seen: int) -> float:
        now = time.monotonic()
        rate = (seen - self._seen) / max(now - self._since, 1e-9)
        self._since, self._seen = now, seen
        return rate
