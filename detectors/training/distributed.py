"""Several processes that train one network: sums over all, and batch norms that share statistics.

Started by torchrun, each process makes its part of every batch. Gradients are averaged once per
step, so that the network itself needs no wrapper and its checkpoints no other names.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn

PATIENCE = datetime.timedelta(hours=2)  # the first process evaluates while the others wait


@dataclass(frozen=True, slots=True)
class Processes:
    """The group that this process belongs to; `rank` 0 writes, evaluates and speaks."""

    rank: int = 0
    size: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.size:
            raise ValueError(f"rank must be in 0..{self.size - 1}, got {self.rank}")

    @property
    def first(self) -> bool:
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, without gradient; may block until all have called it."""
        if self.size == 1:
            return values
        total = values.detach().clone()
        distributed.all_reduce(total)
        return total

    @torch.no_grad()
    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes, in one exchange."""
        if self.size == 1:
            return
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([g.reshape(-1) for g in gradients])
        distributed.all_reduce(flat)
        parts = torch.split(flat.div_(self.size), [g.numel() for g in gradients])
        for parameter, gradient, part in zip(parameters, gradients, parts, strict=True):
            parameter.grad = gradient.copy_(part.view(gradient.shape))


ALONE = Processes()


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Join the group that torchrun describes in the environment; without one, be alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Processes(distributed.get_rank(), size)
    finally:
        distributed.destroy_process_group()


class SharedBatchNorm(nn.BatchNorm2d):
    """A batch norm whose statistics are those of the batch of all processes; for any device.

    Every process must hold as many pictures. Same state-dict keys, same running statistics, same
    result in evaluation mode as the batch norm that it stands for.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in torch
        if not self.training:
            return super().forward(input)
        var, mean = torch.var_mean(input.float(), dim=(0, 2, 3), correction=0)
        # In float64, since the mean of squares minus the squared mean cancels.
        moments = torch.stack([mean, var + mean**2]).double()
        moments = _summed(moments) / distributed.get_world_size()
        mean, var = moments[0], moments[1] - moments[0] ** 2
        self._remember(mean, var, input.numel() // input.shape[1])
        scale = self.weight * torch.rsqrt(var + self.eps).float()
        shift = self.bias - mean.float() * scale
        return (input * scale[:, None, None] + shift[:, None, None]).to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, var: Tensor, here: int) -> None:
        """Move the running statistics; `here` values of each channel lie in this process."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        values = here * distributed.get_world_size()
        unbiased = var * (values / max(values - 1, 1))
        self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
        self.running_var.lerp_(unbiased.to(self.running_var), self.momentum)
        self.num_batches_tracked.add_(1)


class _Sum(torch.autograd.Function):
    """The sum over all processes; so is its gradient."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


def _summed(values: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(values)
    return total


def share_batch_norms(model: nn.Module) -> None:
    """Let every batch norm of `model` use the statistics of all processes, in place."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.BatchNorm2d:
                setattr(module, name, _shared(child))


def _shared(norm: nn.BatchNorm2d) -> nn.Module:
    """The same parameters and buffers under other arithmetic; torch's own where it can."""
    if norm.weight.is_cuda:
        made: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(norm)  # type: ignore[no-untyped-call]
        return made.train(norm.training)
    made = SharedBatchNorm(norm.num_features, eps=norm.eps, momentum=norm.momentum)
    made._parameters, made._buffers = norm._parameters, norm._buffers
    made.train(norm.training)
    return made
