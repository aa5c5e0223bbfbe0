"""The neck: a path-aggregation pyramid that also reads the stride-4 map."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detectors.yolo_nas.architecture.blocks import Conv, CSPLayer
from detectors.yolo_nas.architecture.variants import NeckSpec, Variant


class UpStage(nn.Module):
    """Doubles the resolution and joins two skips: one as fine as the output, one twice as fine.

    Returns the reduced input, which the down stage of the same level takes, and the output.
    """

    def __init__(self, in_channels: int, skip1: int, skip2: int, spec: NeckSpec) -> None:
        super().__init__()
        out = spec.out
        self.reduce_skip1 = Conv(skip1, out, 1)
        self.reduce_skip2 = Conv(skip2, out, 1)
        self.conv = Conv(in_channels, out, 1)
        self.upsample = nn.ConvTranspose2d(out, out, kernel_size=2, stride=2)
        self.downsample = Conv(out, out, 3, stride=2)
        self.reduce_after_concat = Conv(3 * out, out, 1)
        self.blocks = CSPLayer(out, out, spec.hidden, spec.depth, reparametrized=True)

    def forward(self, x: Tensor, skip1: Tensor, skip2: Tensor) -> tuple[Tensor, Tensor]:
        reduced = self.conv(x)
        finer = self.downsample(self.reduce_skip2(skip2))
        joined = torch.cat([self.upsample(reduced), self.reduce_skip1(skip1), finer], dim=1)
        return reduced, self.blocks(self.reduce_after_concat(joined))


class DownStage(nn.Module):
    """Halves the resolution, to half of the output's channels, and joins the skip of that level."""

    def __init__(self, in_channels: int, skip: int, spec: NeckSpec) -> None:
        super().__init__()
        half = spec.out // 2
        self.conv = Conv(in_channels, half, 3, stride=2)
        self.blocks = CSPLayer(half + skip, spec.out, spec.hidden, spec.depth, reparametrized=False)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        out: Tensor = self.blocks(torch.cat([self.conv(x), skip], dim=1))
        return out


class Neck(nn.Module):
    """c2, c3, c4, c5 -> p3, p4, p5: the maps at strides 8, 16, 32 that the heads read."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        c2, c3, c4, c5 = (stage.out for stage in variant.stages)
        up1, up2, down1, down2 = variant.necks
        self.neck1 = UpStage(c5, c4, c3, up1)
        self.neck2 = UpStage(up1.out, c3, c2, up2)
        self.neck3 = DownStage(up2.out, up2.out, down1)
        self.neck4 = DownStage(down1.out, up1.out, down2)

    def forward(
        self, c2: Tensor, c3: Tensor, c4: Tensor, c5: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        skip5, n4 = self.neck1(c5, c4, c3)
        skip4, p3 = self.neck2(n4, c3, c2)
        p4 = self.neck3(p3, skip4)
        return p3, p4, self.neck4(p4, skip5)
