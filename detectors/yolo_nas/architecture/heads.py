"""The heads: per level a classification and a box tower, boxes as distributions over distances.

Distribution focal regression after Li et al., "Generalized Focal Loss", arXiv 2006.04388: each side
of a box is the expectation over `REG_MAX + 1` bins, in units of the level's stride.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.yolo_nas.architecture.blocks import ConvBNReLU
from detectors.yolo_nas.architecture.variants import Variant

REG_MAX = 16
STRIDES = (8, 16, 32)
ANCHOR_CELLS = 5.0  # side of an ATSS anchor box, in strides
PRIOR = 0.01  # score of every class before training


class RawOutput(NamedTuple):
    """What the loss needs, before decoding; A anchors over all levels, C classes."""

    logits: Tensor
    """(B, A, C) class logits."""
    distances: Tensor
    """(B, A, 4 * (REG_MAX + 1)) bin logits: left, top, right, bottom."""
    anchor_boxes: Tensor
    """(A, 4) xyxy pixels, the boxes that ATSS measures."""
    anchor_points: Tensor
    """(A, 2) xy pixels, the centres of the cells."""
    anchors_per_level: list[int]
    strides: Tensor
    """(A, 1) pixels."""


class DFLHead(nn.Module):
    """One level: (B, in, h, w) -> bin logits (B, 4 * bins, h, w), class logits (B, C, h, w)."""

    def __init__(self, in_channels: int, width: int, num_classes: int) -> None:
        super().__init__()
        self.stem = ConvBNReLU(in_channels, width, 1)
        self.cls_convs = nn.Sequential(ConvBNReLU(width, width, 3))
        self.reg_convs = nn.Sequential(ConvBNReLU(width, width, 3))
        self.cls_pred = nn.Conv2d(width, num_classes, 1)
        self.reg_pred = nn.Conv2d(width, 4 * (REG_MAX + 1), 1)
        nn.init.constant_(_bias(self.cls_pred), -math.log((1 - PRIOR) / PRIOR))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(x)
        return self.reg_pred(self.reg_convs(x)), self.cls_pred(self.cls_convs(x))


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


class Heads(nn.Module):
    """p3, p4, p5 -> ((boxes (B, A, 4) xyxy pixels, scores (B, A, C)), RawOutput).

    Boxes are not clipped to the image.
    """

    bins: Tensor

    def __init__(self, variant: Variant, num_classes: int) -> None:
        super().__init__()
        inputs = [neck.out for neck in variant.necks[1:]]
        for level, (channels, width) in enumerate(zip(inputs, variant.heads, strict=True), 1):
            self.add_module(f"head{level}", DFLHead(channels, width, num_classes))
        bins = torch.arange(REG_MAX + 1, dtype=torch.float32)
        self.register_buffer("bins", bins, persistent=False)

    def forward(self, features: Sequence[Tensor]) -> tuple[tuple[Tensor, Tensor], RawOutput]:
        raw = self.raw(features)
        boxes = decode(raw.distances, raw.anchor_points, raw.strides, self.bins)
        return (boxes, raw.logits.sigmoid()), raw

    def raw(self, features: Sequence[Tensor]) -> RawOutput:
        """The undecoded predictions of all levels, stride 8 first, each row by row."""
        return self.joined(
            head(feature) for head, feature in zip(self.children(), features, strict=True)
        )

    def joined(self, levels: Iterable[tuple[Tensor, Tensor]]) -> RawOutput:
        """What each level's `DFLHead` predicts, stride 8 first, as one."""
        distances, logits, sizes = [], [], []
        for distance, logit in levels:
            distances.append(_by_anchor(distance))
            logits.append(_by_anchor(logit))
            sizes.append((int(logit.shape[2]), int(logit.shape[3])))
        boxes, points, strides = anchor_grid(sizes, self.bins)
        counts = [h * w for h, w in sizes]
        return RawOutput(
            torch.cat(logits, 1), torch.cat(distances, 1), boxes, points, counts, strides
        )


def _by_anchor(level: Tensor) -> Tensor:
    """(B, channels, h, w) -> (B, h * w, channels); only B stays free in an exported graph."""
    channels, rows, columns = (int(n) for n in level.shape[1:])
    return level.reshape(-1, channels, rows * columns).transpose(1, 2)


def anchor_grid(sizes: Sequence[tuple[int, int]], like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Anchor boxes (A, 4), points (A, 2) and strides (A, 1) of level maps of (rows, columns)."""
    points, strides = [], []
    for (rows, columns), stride in zip(sizes, STRIDES, strict=True):
        y = (torch.arange(rows, dtype=like.dtype, device=like.device) + 0.5) * stride
        x = (torch.arange(columns, dtype=like.dtype, device=like.device) + 0.5) * stride
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        points.append(torch.stack([grid_x, grid_y], -1).reshape(-1, 2))
        strides.append(torch.full_like(points[-1][:, :1], stride))
    all_points, all_strides = torch.cat(points), torch.cat(strides)
    half = all_strides * (ANCHOR_CELLS / 2)
    return torch.cat([all_points - half, all_points + half], 1), all_points, all_strides


def decode(distances: Tensor, points: Tensor, strides: Tensor, bins: Tensor) -> Tensor:
    """Bin logits (B, A, 4 * bins) -> boxes (B, A, 4) xyxy in pixels, unclipped.

    The expectation is a product and a sum, not a convolution, so that quantizers leave it in float.
    """
    by_side = distances.reshape(-1, int(distances.shape[1]), 4, REG_MAX + 1)
    probabilities = functional.softmax(by_side, dim=-1)
    sides = (probabilities * bins).sum(-1)
    centres = points / strides
    near, far = centres - sides[..., :2], centres + sides[..., 2:]
    return torch.cat([near, far], -1) * strides
