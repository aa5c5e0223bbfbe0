"""The network that a run begins with: at random, or from a checkpoint with other classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from detectors.yolo_nas.architecture.fuse import fold_batch_norms, has_norms
from detectors.yolo_nas.architecture.heads import Heads
from detectors.yolo_nas.architecture.model import YoloNASModule, build
from pipeline.core.errors import ConfigError

if TYPE_CHECKING:
    from detectors.yolo_nas.checkpoints.checkpoint import Checkpoint

PREDICTIONS = "cls_pred."


@dataclass(frozen=True, slots=True)
class Start:
    """A network in training mode, and what a user should know about where it comes from."""

    model: YoloNASModule
    notes: tuple[str, ...] = ()


def begin(
    variant: str,
    class_names: Sequence[str],
    source: str | Path | Checkpoint | None = None,
    *,
    folded: bool = False,
) -> Start:
    """A network for these classes, with the weights of the checkpoint `source` where it has them.

    The class predictions of another list of classes are made anew, except that a class of the same
    name keeps its own. With `folded` the network is as it is deployed, one convolution a block
    without batch norms. Raises `ConfigError` when the checkpoint is of another variant, or without
    batch norms where they are to be trained, and what `checkpoint.read` raises.
    """
    if source is None:
        if folded:
            raise ConfigError("folded", "only a trained network can do without batch norms")
        return Start(build(variant, len(class_names)).train())
    if isinstance(source, (str, Path)):
        from detectors.yolo_nas.checkpoints import checkpoint

        source = checkpoint.read(source)
    if source.variant != variant:
        why = f"the checkpoint is a {source.variant}, but the network to train is a {variant}"
        raise ConfigError("--from", why)
    if source.form == "full" and not folded:
        why = "the checkpoint is fused for inference; train from another, or with --set folded=true"
        raise ConfigError("--from", why)
    model = source.module()
    if folded:
        fold(model)
    model.train().requires_grad_(True)
    _rest_placeholders(model)
    notes = _to_rgb(model) if source.processing.color == "bgr" else []
    theirs = tuple(source.processing.class_names)
    if theirs != tuple(class_names):
        notes += _change_classes(model, theirs, class_names)
    return Start(model, tuple(notes))


def like(variant: str, classes: int, state: Mapping[str, Tensor]) -> YoloNASModule:
    """A network, in training mode, with the branches, partly fused or folded as the state dict."""
    model = build(variant, classes)
    if not has_norms(state):
        fold(model)
        model.requires_grad_(True)
    elif not any(".branch_3x3." in key for key in state):
        model.fuse()
    return model.train()


def fold(model: YoloNASModule) -> None:
    """Bring the network to what is deployed, in place: one convolution a block, no batch norms."""
    model.eval().fuse(full=True)
    fold_batch_norms(model)


def _rest_placeholders(model: nn.Module) -> None:
    from detectors.training.parameters import placeholders

    resting = placeholders(model)
    for name, parameter in model.named_parameters():
        if name in resting:
            parameter.requires_grad_(False)


@torch.no_grad()
def _to_rgb(model: YoloNASModule) -> list[str]:
    """Turn the first kernels round: trained on BGR, the same network for RGB."""
    for parameter in model.backbone.stem.parameters():
        if parameter.ndim == 4 and parameter.shape[1] == 3:
            parameter.copy_(parameter.flip(1))
    return ["it was trained on BGR pictures: its first kernels are turned round to take RGB"]


@torch.no_grad()
def _change_classes(model: YoloNASModule, theirs: Sequence[str], ours: Sequence[str]) -> list[str]:
    """New class predictions; the rows of classes that both know by name are kept."""
    kept = [(ours.index(name), theirs.index(name)) for name in ours if name in theirs]
    fresh = Heads(model.spec, len(ours))
    for new, old in zip(fresh.children(), model.heads.children(), strict=True):
        made, was = new.get_submodule("cls_pred"), old.get_submodule("cls_pred")
        assert isinstance(made, nn.Conv2d)
        for parameter, before in zip(made.parameters(), was.parameters(), strict=True):
            for here, there in kept:
                parameter[here] = before[there]
        old.add_module("cls_pred", made)
    model.num_classes = len(ours)
    names = {ours[here] for here, _ in kept}
    notes = [("class predictions kept", [n for n in ours if n in names])]
    notes += [("class predictions begun anew", [n for n in ours if n not in names])]
    notes += [("dropped from the checkpoint", [n for n in theirs if n not in names])]
    return [f"{what}: {', '.join(which)}" for what, which in notes if which]
