"""A network that learns from batches: forward, loss, gradients, step, moving average."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from detectors.training.assign import Targets, TaskAligned
from detectors.training.data import Batch
from detectors.training.distributed import ALONE, Processes, share_batch_norms
from detectors.training.ema import Ema
from detectors.training.losses import DetectionLoss, Losses
from detectors.training.parameters import freeze, lay_out_moments, optimizer, trained
from detectors.training.precision import CPU, Precision
from detectors.training.recipes import Recipe
from detectors.training.start import begin, like
from detectors.yolo_nas.architecture.heads import STRIDES, RawOutput
from detectors.yolo_nas.architecture.model import YoloNASModule
from pipeline.core.errors import ConfigError, EyrieError

if TYPE_CHECKING:
    from detectors.yolo_nas.checkpoints.checkpoint import Checkpoint

LAYOUT = torch.channels_last  # half as fast again as the default on CPUs
NAMED_PICTURES = 8

Terms = dict[str, float]


class DivergedError(EyrieError):
    """The loss is no longer a number; says at which batch, and of which pictures."""


class Learner:
    """The state of a run and what one batch does to it.

    Begins from `saved`, an earlier `state()`; else from `source`, the checkpoint that
    `recipe.start` names where it has been read already; else as the recipe says. `network` is
    trained instead of the one that these make; it takes the weights of `saved`. Several `processes`
    do the same steps, each with its part of every batch.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        saved: dict[str, Any] | None = None,
        source: Checkpoint | None = None,
        network: YoloNASModule | None = None,
        device: torch.device = CPU,
        processes: Processes = ALONE,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.processes = recipe, device, processes
        self.step = self.seen = 0
        self.stop_asked = self.stop = False
        """Ask in any process: with the next batch all agree to `stop`, and none waits for ever."""
        self.notes: tuple[str, ...] = ()
        self.model = self._laid_out(network or self._network(saved, source))
        self.ema = Ema(self.model, recipe.ema_limit)
        freeze(self.model, recipe.freeze)
        if processes.size > 1:
            share_batch_norms(self.model)
        decay = recipe.weight_decay
        self.optimizer = optimizer(self.model, decay, decay_alpha=recipe.decay_alpha)
        self.precision = Precision(device, recipe.bf16)
        self.loss = DetectionLoss(assigner=TaskAligned(least_px=STRIDES[0]), processes=processes)
        self._guide = None if recipe.teacher is None else _Guide(recipe, processes)
        if saved is not None:
            self._restore(saved)

    def learn(self, batch: Batch) -> Terms:
        """Add the gradients of one batch, or of this process's part of it, and take a step when
        `accumulate` are there. Returns the terms of the loss of the whole batch, `loss` their sum.

        Raises `DivergedError`, with nothing changed but batch statistics.
        """
        raw, images = self._forward(batch)
        losses = self._losses(raw, images, batch)
        terms = self._shared(losses)
        if not np.isfinite(terms["loss"]):
            raise DivergedError(self._diagnosis(batch, terms["loss"], losses))
        scaled = self.precision.scaler.scale(losses.total / self.recipe.accumulate)
        torch.autograd.backward(scaled)
        self.seen += self.recipe.batch
        if self.seen % self.per_step == 0:
            self._take_step()
        return terms

    @property
    def per_step(self) -> int:
        """Pictures in an optimizer step, over all processes."""
        return self.recipe.batch * self.recipe.accumulate

    @property
    def lr(self) -> float:
        """The learning rate of the step that is being made."""
        return self.recipe.schedule.lr_at(self.seen // self.per_step * self.per_step)

    def state(self) -> dict[str, Any]:
        """All that going on needs, between two steps."""
        return {
            "net": self.model.state_dict(),
            "ema_net": self.ema.model.state_dict(),
            "optimizer_state_dict": self.optimizer.state_dict(),
            "scaler_state_dict": self.precision.scaler.state_dict(),
            "step": self.step,
            "pictures_seen": self.seen,
        }

    def _network(self, saved: dict[str, Any] | None, source: Checkpoint | None) -> YoloNASModule:
        recipe = self.recipe
        if saved is None:
            start, folded = source or recipe.start, recipe.folded
            begun = begin(recipe.variant, recipe.class_names, start, folded=folded)
            self.notes, model = begun.notes, begun.model
        else:
            model = like(recipe.variant, len(recipe.class_names), saved["net"])
        return model

    def _laid_out(self, model: YoloNASModule) -> YoloNASModule:
        return model.to(self.device).to(memory_format=LAYOUT)

    def _restore(self, saved: dict[str, Any]) -> None:
        self.model.load_state_dict(saved["net"])
        self.ema.model.load_state_dict(saved["ema_net"])
        try:
            self.optimizer.load_state_dict(saved["optimizer_state_dict"])
        except ValueError as error:
            why = f"the run in progress trains other parts of the network: {error}"
            raise ConfigError("--freeze", why) from error
        lay_out_moments(self.optimizer)
        if scaler := saved.get("scaler_state_dict"):
            self.precision.scaler.load_state_dict(scaler)
        self.step, self.seen = saved["step"], saved["pictures_seen"]

    def _forward(self, batch: Batch) -> tuple[RawOutput, Tensor]:
        pixels = torch.from_numpy(batch.images).to(self.device)
        images = pixels.to(torch.float32, memory_format=LAYOUT).div_(255)
        with self.precision.reduced():
            raw = self.model.raw(images)
        return raw, images

    def _losses(self, raw: RawOutput, images: Tensor, batch: Batch) -> Losses:
        arrays = (batch.image, batch.class_id, batch.xyxy, batch.labelled)
        image, class_id, xyxy, labelled = (torch.from_numpy(a).to(self.device) for a in arrays)
        losses = self.loss(raw, Targets(image, class_id, xyxy), labelled)
        if self._guide is None:
            return losses
        return Losses(losses.cls, losses.iou, losses.dfl, self._guide(raw, images, labelled))

    def _shared(self, losses: Losses) -> Terms:
        """Means of the terms over all processes, which also agree here on whether to stop."""
        named = losses.named()
        here = torch.stack([*named.values(), named["loss"].new_tensor(float(self.stop_asked))])
        *means, stop = (self.processes.sum(here) / self.processes.size).tolist()
        self.stop = stop > 0
        return dict(zip(named, means, strict=True))

    def _take_step(self) -> None:
        parameters = trained(self.model)
        rate = self.recipe.schedule.lr_at(self.seen - self.per_step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.processes.average_gradients(parameters)
        scaler = self.precision.scaler
        scaler.unscale_(self.optimizer)
        if self.recipe.max_gradient is not None:
            nn.utils.clip_grad_norm_(parameters, self.recipe.max_gradient)
        scaler.step(self.optimizer)
        scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.ema.update(self.model, self.step)

    def _diagnosis(self, batch: Batch, loss: float, losses: Losses) -> str:
        """What is wrong with a loss that is not finite, and where to look."""
        wrong = [name for name, term in losses.named().items() if not torch.isfinite(term)]
        where = ", ".join(wrong) if wrong else "another process"
        paths = [str(path) for path in dict.fromkeys(batch.paths)]
        more = f" and {len(paths) - NAMED_PICTURES} more" if len(paths) > NAMED_PICTURES else ""
        return (
            f"loss is {loss} (in {where}) at batch {batch.index}, seed {self.recipe.seed}, of "
            f"{', '.join(paths[:NAMED_PICTURES])}{more}; the checkpoint of before is kept: look at "
            "these pictures, or go on with --resume and a lower --lr"
        )


class _Guide:
    """A teacher's part of the loss."""

    def __init__(self, recipe: Recipe, processes: Processes) -> None:
        from detectors.training.distill import DistillationLoss
        from detectors.training.teacher import load_teacher

        assert recipe.teacher is not None
        self._teacher = load_teacher(recipe.teacher, recipe.class_names, bf16=recipe.bf16)
        self._loss = DistillationLoss(processes=processes)
        self._weight = recipe.distill_weight

    def __call__(self, raw: RawOutput, images: Tensor, labelled: Tensor) -> Tensor:
        terms = self._loss(raw, self._teacher(images), labelled)
        return self._weight * terms.total
