"""The backbone: stem, four stages, a spatial pyramid at the end."""

from __future__ import annotations

from torch import Tensor, nn

from detectors.yolo_nas.architecture.blocks import SPP, CSPLayer, QARepVGGBlock
from detectors.yolo_nas.architecture.variants import StageSpec, Variant


class Stem(nn.Module):
    """(B, 3, H, W) -> (B, C, H/2, W/2)."""

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.conv = QARepVGGBlock(3, out_channels, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return out


class Stage(nn.Module):
    """Halves the resolution, then a CSP layer of reparametrized bottlenecks."""

    def __init__(self, in_channels: int, spec: StageSpec) -> None:
        super().__init__()
        self.downsample = QARepVGGBlock(in_channels, spec.out, stride=2)
        self.blocks = CSPLayer(
            spec.out,
            spec.out,
            spec.hidden,
            spec.depth,
            reparametrized=True,
            concat_intermediates=spec.concat_intermediates,
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.blocks(self.downsample(x))
        return out


class Backbone(nn.Module):
    """(B, 3, H, W) -> c2, c3, c4, c5: the maps at strides 4, 8, 16, 32."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        first, second, third, fourth = variant.stages
        self.stem = Stem(variant.stem)
        self.stage1 = Stage(variant.stem, first)
        self.stage2 = Stage(first.out, second)
        self.stage3 = Stage(second.out, third)
        self.stage4 = Stage(third.out, fourth)
        self.context_module = SPP(fourth.out)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        c2 = self.stage1(self.stem(x))
        c3 = self.stage2(c2)
        c4 = self.stage3(c3)
        return c2, c3, c4, self.context_module(self.stage4(c4))
