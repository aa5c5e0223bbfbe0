"""The moving average of the weights, which is the network that training is for."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from detectors.training.parameters import placeholders
from detectors.training.schedule import ema_decay
from detectors.yolo_nas.architecture.model import YoloNASModule


class Ema:
    """Moving average of a model's float state, in a model of its own.

    The decay is in threshold form: see `schedule.ema_decay`.
    """

    def __init__(self, model: YoloNASModule, limit: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.limit = limit
        self._unaveraged = placeholders(model)

    @torch.no_grad()
    def update(self, model: YoloNASModule, step: int) -> None:
        """Move towards `model`; place-holders and counters are not averaged."""
        pairs = zip(self._averaged(self.model), self._averaged(model), strict=True)
        ours, theirs = zip(*pairs, strict=True)
        torch._foreach_lerp_(ours, theirs, 1.0 - ema_decay(step, self.limit))

    def _averaged(self, model: YoloNASModule) -> list[Tensor]:
        state = model.state_dict().items()
        return [t for k, t in state if t.is_floating_point() and k not in self._unaveraged]
