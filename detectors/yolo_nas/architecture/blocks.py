"""The convolution blocks of YOLO-NAS.

Attribute names and their order are a file format: the keys of public checkpoints follow them.
Tensors are (B, C, H, W); every activation is a ReLU; every batch norm has eps 1e-3, momentum 0.03.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

BN_EPS = 1e-3
BN_MOMENTUM = 0.03

Form = Literal["branches", "partial", "full"]


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """The one batch norm of the family."""
    return nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)


class Conv(nn.Module):
    """Convolution without bias, batch norm, ReLU: (B, in, H, W) -> (B, out, H/stride, W/stride)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
        self.bn: nn.Module = batch_norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)), inplace=True)


class ConvBNReLU(nn.Module):
    """The same mathematics as `Conv`, under the names that the heads use."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.seq = nn.Sequential()
        conv = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)
        self.seq.add_module("conv", conv)
        self.seq.add_module("bn", batch_norm(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.seq(x), inplace=True)


class ConvBN(nn.Sequential):
    """A convolution and its batch norm, named `conv` and `bn`."""

    conv: nn.Conv2d
    bn: nn.BatchNorm2d

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        padding = kernel // 2
        conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=False)
        self.add_module("conv", conv)
        self.add_module("bn", batch_norm(out_channels))


class QARepVGGBlock(nn.Module):
    """ReLU(post_bn(BN(conv3x3(x)) + conv1x1(x) [+ x])), the quantization-friendly RepVGG block.

    After Chu et al., "Make RepVGG Greater Again", arXiv 2212.01593, form S4. The branches fuse into
    the single 3x3 convolution `rbr_reparam`, which until then is an untrained place-holder.

    Forms: `branches` as built; `partial` keeps `post_bn` and may be trained; `full` is one
    convolution with bias.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, identity: bool = False
    ) -> None:
        super().__init__()
        if identity and (stride != 1 or in_channels != out_channels):
            raise ValueError(
                "identity needs stride 1 and equal channels, got "
                f"stride {stride}, {in_channels} -> {out_channels}"
            )
        self.form: Form = "branches"
        self.identity = identity
        self.branch_3x3 = ConvBN(in_channels, out_channels, 3, stride)
        self.branch_1x1 = nn.Conv2d(in_channels, out_channels, 1, stride)
        self.post_bn = batch_norm(out_channels)
        self.rbr_reparam = nn.Conv2d(in_channels, out_channels, 3, stride, 1)
        self.rbr_reparam.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        if self.form == "full":
            return functional.relu(self.rbr_reparam(x), inplace=True)
        if self.form == "partial":
            return functional.relu(self.post_bn(self.rbr_reparam(x)), inplace=True)
        y = self.branch_3x3(x) + self._pointwise(x)
        if self.identity:
            y = y + x
        return functional.relu(self.post_bn(y), inplace=True)

    def _pointwise(self, x: Tensor) -> Tensor:
        """branch_1x1 on the pixels that its stride visits.

        The same sum as a strided convolution, which in bfloat16 and channels-last layout writes
        outside its memory on CPUs (torch 2.15, 3 channels in).
        """
        stride = self.branch_1x1.stride[0]
        conv = self.branch_1x1
        return functional.conv2d(x[..., ::stride, ::stride], conv.weight, conv.bias)


class Bottleneck(nn.Module):
    """alpha * x + cv2(cv1(x)) with a learnable scalar `alpha`; C -> C channels."""

    def __init__(self, channels: int, reparametrized: bool) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1))
        self.cv1 = _conv_3x3(channels, reparametrized)
        self.cv2 = _conv_3x3(channels, reparametrized)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.alpha * x + self.cv2(self.cv1(x))
        return y


def _conv_3x3(channels: int, reparametrized: bool) -> nn.Module:
    if reparametrized:
        return QARepVGGBlock(channels, channels, identity=True)
    return Conv(channels, channels, 3)


class CSPLayer(nn.Module):
    """Cross-stage partial layer: half of the features pass `depth` bottlenecks, half pass by.

    With `concat_intermediates` the input of every bottleneck reaches `conv3` as well.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        hidden: int,
        depth: int,
        *,
        reparametrized: bool,
        concat_intermediates: bool = False,
    ) -> None:
        super().__init__()
        self.concat_intermediates = concat_intermediates
        joined = (2 + depth if concat_intermediates else 2) * hidden
        self.conv1 = Conv(in_channels, hidden, 1)
        self.conv2 = Conv(in_channels, hidden, 1)
        self.conv3 = Conv(joined, out_channels, 1)
        self.bottlenecks = nn.ModuleList(Bottleneck(hidden, reparametrized) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        deep = [self.conv1(x)]
        for bottleneck in self.bottlenecks:
            deep.append(bottleneck(deep[-1]))
        kept = deep if self.concat_intermediates else deep[-1:]
        out: Tensor = self.conv3(torch.cat([*kept, self.conv2(x)], dim=1))
        return out


class SPP(nn.Module):
    """Spatial pyramid pooling: the map beside its maxima over 5x5, 9x9 and 13x13 neighbourhoods."""

    KERNELS = (5, 9, 13)

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels // 2
        self.cv1 = Conv(channels, hidden, 1)
        self.cv2 = Conv(hidden * (1 + len(self.KERNELS)), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.cv1(x)
        pooled = [functional.max_pool2d(x, k, stride=1, padding=k // 2) for k in self.KERNELS]
        out: Tensor = self.cv2(torch.cat([x, *pooled], dim=1))
        return out
