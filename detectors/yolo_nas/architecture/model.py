"""The network: backbone, neck, heads."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor, nn

from detectors.yolo_nas.architecture import fuse
from detectors.yolo_nas.architecture.backbone import Backbone
from detectors.yolo_nas.architecture.heads import Heads, RawOutput
from detectors.yolo_nas.architecture.neck import Neck
from detectors.yolo_nas.architecture.variants import Variant, variant


class YoloNASModule(nn.Module):
    """YOLO-NAS as a torch module.

    forward: images (B, 3, H, W), RGB in [0, 1], H and W multiples of 32 -> ((boxes (B, A, 4) xyxy
    pixels, scores (B, A, C) in [0, 1]), RawOutput). While traced or exported: only the first pair.
    """

    def __init__(self, spec: Variant, num_classes: int) -> None:
        super().__init__()
        self.spec = spec
        self.num_classes = num_classes
        self.backbone = Backbone(spec)
        self.neck = Neck(spec)
        self.heads = Heads(spec, num_classes)

    def forward(self, images: Tensor) -> Any:
        decoded, raw = self.heads(self.neck(*self.backbone(images)))
        return decoded if _tracing() else (decoded, raw)

    def raw(self, images: Tensor) -> RawOutput:
        """What the loss reads, without decoding it."""
        return self.heads.raw(self.neck(*self.backbone(images)))

    def fuse(self, *, full: bool = False) -> Self:
        """Fuse the branches of every QARepVGG block in place and return the model.

        The default, partial form keeps each block's `post_bn` and can be trained further; the
        full form folds it too and is for inference only. See `fuse.fold_batch_norms` for the rest.
        Raises ValueError where a full form is to become partial.
        """
        fuse.fuse_blocks(self, full=full)
        return self


def _tracing() -> bool:
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined,no-untyped-call]


def build(name: str, num_classes: int) -> YoloNASModule:
    """A randomly initialized `yolo_nas_{n,s,m,l}` for `num_classes` classes, in training mode."""
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
    return YoloNASModule(variant(name), num_classes)
