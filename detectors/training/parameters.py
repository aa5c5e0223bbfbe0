"""Which parameters of a network learn, and which of them decay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from detectors.yolo_nas.architecture.blocks import QARepVGGBlock
from pipeline.core.errors import ConfigError


def placeholders(model: nn.Module) -> frozenset[str]:
    """State-dict keys that only fusing will fill: no gradient, no decay, no average."""
    return frozenset(
        f"{name}.rbr_reparam.{key}"
        for name, module in model.named_modules()
        if isinstance(module, QARepVGGBlock) and module.form == "branches"
        for key in module.rbr_reparam.state_dict()
    )


def freeze(model: nn.Module, prefixes: Sequence[str]) -> None:
    """Keep everything under these names as it is, batch statistics included.

    Raises `ConfigError` for a prefix that no parameter has, or when nothing is left to train.
    """
    for prefix in prefixes:
        frozen = [m for name, m in model.named_modules() if _under(name, prefix)]
        if not frozen:
            parts = ", ".join(name for name, _ in model.named_children())
            raise ConfigError("--freeze", f"the network has no part {prefix!r}; it has {parts}")
        for module in frozen:
            module.requires_grad_(False)
            module.eval()
    if not trained(model):
        raise ConfigError("--freeze", "nothing is left to train")


def trained(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that learn."""
    return [p for p in model.parameters() if p.requires_grad]


def optimizer(
    model: nn.Module, weight_decay: float, *, decay_alpha: bool = False
) -> torch.optim.Optimizer:
    """AdamW; kernels decay, norms and biases do not, bottlenecks' `alpha` if wanted."""
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 or (decay_alpha and name.endswith(".alpha"))
            (decayed if decays else kept).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, fused=True)


def lay_out_moments(optimizer: torch.optim.Optimizer) -> None:
    """The fused optimizer walks memory: its moments must lie as their parameters do."""
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if value.ndim == parameter.ndim:
                moments[name] = torch.empty_like(parameter).copy_(value)


def _under(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")
