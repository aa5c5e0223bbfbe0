"""The training loop: resumable to the batch, budgeted in pictures, made for CPUs too."""

from __future__ import annotations

import copy
import json
import logging
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from detectors.evaluate import EVALUATION_RULE, Found, Truth, evaluate
from detectors.letterbox import Letterbox
from detectors.training.assign import Targets, TaskAligned
from detectors.training.data import Batch, Folder, Loader, Picture, read_image, read_index
from detectors.training.losses import DetectionLoss, Losses
from detectors.training.schedule import Schedule, ema_decay
from detectors.yolo_nas.heads import STRIDES
from detectors.yolo_nas.model import YoloNASModule, build
from detectors.yolo_nas.postprocess import suppress

log = logging.getLogger(__name__)

LOG_EVERY = 20
LAYOUT = torch.channels_last  # half as fast again as the default on CPUs


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides a run's result, besides the data itself."""

    variant: str
    class_names: tuple[str, ...]
    folders: tuple[Folder, ...]
    schedule: Schedule
    batch: int = 32
    seed: int = 0
    weight_decay: float = 0.03
    max_gradient: float = 10.0
    ema_limit: float = 0.999
    bf16: bool = True


@dataclass(slots=True)
class Pace:
    """When to write and to evaluate, in seconds of wall clock."""

    checkpoint_s: float = 180.0
    evaluate_s: float = 720.0
    _last: dict[str, float] = field(default_factory=dict)

    def due(self, what: str, period_s: float) -> bool:
        """Whether `period_s` went by since the last time that this was true; not at first."""
        now = time.monotonic()
        if now - self._last.setdefault(what, now) < period_s:
            return False
        self._last[what] = now
        return True


class DivergedError(RuntimeError):
    """The loss is no longer a number; says at which batch."""


class Ema:
    """Moving average of a model's float state, in a model of its own."""

    def __init__(self, model: YoloNASModule, limit: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.limit = limit

    @torch.no_grad()
    def update(self, model: YoloNASModule, step: int) -> None:
        """Move towards `model`; place-holders and counters are not averaged."""
        pairs = zip(self._averaged(self.model), self._averaged(model), strict=True)
        ours, theirs = zip(*pairs, strict=True)
        torch._foreach_lerp_(ours, theirs, 1.0 - ema_decay(step, self.limit))

    @staticmethod
    def _averaged(model: YoloNASModule) -> list[Tensor]:
        state = model.state_dict()
        return [t for k, t in state.items() if t.is_floating_point() and "rbr_reparam" not in k]


class Trainer:
    """One run in one directory: `log.jsonl`, `last.pth`, `best.pth`.

    `run` returns when the budget is spent or after SIGTERM or SIGINT, with a checkpoint written;
    a trainer on the same directory with `resume=True` goes on with the next batch.
    """

    def __init__(self, recipe: Recipe, out: Path, *, resume: bool = False) -> None:
        torch.manual_seed(recipe.seed)
        out.mkdir(parents=True, exist_ok=True)
        self.recipe, self.out = recipe, out
        self.pace = Pace()
        self.step = self.seen = 0
        self.best = 0.0
        model = build(recipe.variant, len(recipe.class_names)).train()
        self.model = model.to(memory_format=LAYOUT)
        self.ema = Ema(self.model, recipe.ema_limit)
        self.optimizer = _optimizer(self.model, recipe.weight_decay)
        self.loss = DetectionLoss(assigner=TaskAligned(least_px=STRIDES[0]))
        self._stop = False
        if resume:
            self._restore(out / "last.pth")

    def run(self) -> None:
        """Train until the budget of pictures is spent or a signal asks to stop."""
        previous = {s: signal.signal(s, self._ask_to_stop) for s in (signal.SIGTERM, signal.SIGINT)}
        recipe = self.recipe
        loader = Loader(
            recipe.folders,
            len(recipe.class_names),
            recipe.batch,
            recipe.seed,
            recipe.schedule,
            first=self.seen // recipe.batch,
        )
        torch.set_flush_denormal(True)  # losses close to 0 are several times slower without it
        try:
            self._loop(loader)
        finally:
            torch.set_flush_denormal(False)  # it is a mode of the whole process
            loader.close()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def evaluate(self) -> float:
        """Mean over the folders' val splits of the averaged model's mAP at IoU 0.5; logs each."""
        size = self.recipe.schedule.final_px
        letterbox, names = Letterbox(size, size), self.recipe.class_names
        means = []
        for folder in self.recipe.folders:
            pictures = read_index(folder.path, "val")
            if pictures:
                found = [self._detect(picture, letterbox) for picture in pictures]
                truths = [Truth(p.xyxy, p.class_id, p.labelled) for p in pictures]
                metrics = evaluate(found, truths, len(names))
                means.append(metrics.map50)
                self._record(folder=folder.path.name, **metrics.named(names))
        return float(np.mean(means)) if means else 0.0

    def save(self, path: Path) -> None:
        """Write everything that going on needs; the file appears whole or not at all."""
        recipe = self.recipe
        state = {
            "net": self.model.state_dict(),
            "ema_net": self.ema.model.state_dict(),
            "optimizer_state_dict": self.optimizer.state_dict(),
            "step": self.step,
            "pictures_seen": self.seen,
            "best": self.best,
            "variant": recipe.variant,
            "class_names": list(recipe.class_names),
            "input_size": [recipe.schedule.final_px] * 2,
            "seed": recipe.seed,
            "data": [str(folder.path) for folder in recipe.folders],
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def _loop(self, loader: Loader) -> None:
        began, began_seen = time.monotonic(), self.seen
        for batch in loader:
            losses = self._train_on(batch)
            if self.step % LOG_EVERY == 0:
                rate = (self.seen - began_seen) / (time.monotonic() - began)
                self._record(**_numbers(losses), lr=self._lr(), pictures_per_s=round(rate, 2))
                began, began_seen = time.monotonic(), self.seen
            done = self.seen >= self.recipe.schedule.total
            if done or self.pace.due("evaluate", self.pace.evaluate_s):
                self._keep_best(self.evaluate())
            if done or self._stop or self.pace.due("checkpoint", self.pace.checkpoint_s):
                self.save(self.out / "last.pth")
            if done or self._stop:
                return

    def _train_on(self, batch: Batch) -> Losses:
        for group in self.optimizer.param_groups:
            group["lr"] = self._lr()
        pixels = torch.from_numpy(batch.images)
        images = pixels.to(torch.float32, memory_format=LAYOUT).div_(255)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.bf16):
            raw = self.model.heads.raw(self.model.neck(*self.model.backbone(images)))
        targets = Targets(*map(torch.from_numpy, (batch.image, batch.class_id, batch.xyxy)))
        losses = self.loss(raw, targets, torch.from_numpy(batch.labelled))
        if not torch.isfinite(losses.total):
            raise DivergedError(
                f"{self.out}: loss is {float(losses.total.detach())} at batch {batch.index}, seed "
                f"{self.recipe.seed}; resume from last.pth with a lower learning rate"
            )
        losses.total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._trained(), self.recipe.max_gradient)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.seen += len(batch.images)
        self.ema.update(self.model, self.step)
        return losses

    @torch.inference_mode()
    def _detect(self, picture: Picture, letterbox: Letterbox) -> Found:
        image, transform = letterbox.apply(read_image(picture.path))
        (boxes, scores), _ = self.ema.model(torch.from_numpy(image)[None])
        xyxy, score, class_id = suppress(boxes[0].numpy(), scores[0].numpy(), EVALUATION_RULE)
        return Found(transform.to_source(xyxy), score, class_id)

    def _keep_best(self, map50: float) -> None:
        if map50 > self.best:
            self.best = map50
            self.save(self.out / "best.pth")

    def _restore(self, path: Path) -> None:
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["net"])
        self.ema.model.load_state_dict(state["ema_net"])
        self.optimizer.load_state_dict(state["optimizer_state_dict"])
        self._lay_out_moments()
        self.step, self.seen = state["step"], state["pictures_seen"]
        self.best = state["best"]

    def _lay_out_moments(self) -> None:
        """The fused optimizer walks memory: its moments must lie as their parameters do."""
        for parameter, moments in self.optimizer.state.items():
            for name, value in moments.items():
                if value.ndim == parameter.ndim:
                    moments[name] = torch.empty_like(parameter).copy_(value)

    def _record(self, **values: Any) -> None:
        now = round(time.time(), 1)
        line = json.dumps({"step": self.step, "pictures_seen": self.seen, "time": now} | values)
        with (self.out / "log.jsonl").open("a") as file:
            file.write(line + "\n")
        log.info("%s", line)

    def _lr(self) -> float:
        return self.recipe.schedule.lr_at(self.seen)

    def _trained(self) -> list[nn.Parameter]:
        return [p for p in self.model.parameters() if p.requires_grad]

    def _ask_to_stop(self, signum: int, _: FrameType | None) -> None:
        log.info("signal %d: writing a checkpoint and stopping", signum)
        self._stop = True


def _numbers(losses: Losses) -> dict[str, float]:
    terms = {"cls": losses.cls, "iou": losses.iou, "dfl": losses.dfl, "loss": losses.total}
    return {name: round(float(value.detach()), 5) for name, value in terms.items()}


def _optimizer(model: nn.Module, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW; kernels decay, everything else (norms, biases, alphas) does not."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, fused=True)
