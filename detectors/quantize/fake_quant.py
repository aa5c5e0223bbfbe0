"""Rounding to 8 bits in float, with a gradient: what training with fake quantization is made of.

Values are those of ONNX's QuantizeLinear and DequantizeLinear: division by the scale, rounding half
to even, saturation. The gradient passes straight through the rounding and stops where a value
saturates (Bengio et al., "Estimating or Propagating Gradients", arXiv 1308.3432). That of a scale
is LSQ's (Esser et al., "Learned Step Size Quantization", arXiv 1902.08153, equation 3), with its
gradient scale.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

INT8_MIN, INT8_MAX = -128, 127
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
LEAST_KERNEL = 1e-8


def fake_quantize(values: Tensor, scale: Tensor) -> Tensor:
    """`values` of any shape on the signed 8-bit grid of `scale` (), in float32.

    Both may want a gradient.
    """
    with torch.autocast(values.device.type, enabled=False):
        made: Tensor = _Rounded.apply(values.float(), scale)
    return made


def fake_quantize_kernel(kernel: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """A kernel as `qdq.quantize_kernel` makes it, and its scales (n,), one per index of `axis`.

    Nothing saturates, so the gradient is that of the kernel itself; scales follow the kernel and
    have none.
    """
    others = [n for n in range(kernel.ndim) if n != axis]
    found = kernel.detach()
    scale = found.abs().amax(others).clamp(min=LEAST_KERNEL) / INT8_MAX
    shape = [1] * kernel.ndim
    shape[axis] = -1
    steps = scale.reshape(shape)
    rounded = torch.div(found, steps).round_().clamp_(-INT8_MAX, INT8_MAX).mul_(steps)
    return _replaced(kernel, rounded), scale


def fake_quantize_bias(bias: Tensor, scale: Tensor) -> Tensor:
    """A bias (n,) in 32-bit steps of `scale` (n,), the product of the scales of kernel and input.

    The gradient is that of the bias itself.
    """
    steps = scale.detach().float()
    integers = torch.div(bias.detach().double(), steps.double()).round_()
    return _replaced(bias, integers.clamp_(INT32_MIN, INT32_MAX).float() * steps)


def _replaced(value: Tensor, by: Tensor) -> Tensor:
    made: Tensor = _Replaced.apply(value, by)
    return made


class _Rounded(torch.autograd.Function):
    """(values, scale) -> values on the grid."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, scale: Tensor) -> Tensor:
        steps = torch.div(values, scale)
        integers = steps.round()
        made = integers.clamp(INT8_MIN, INT8_MAX)
        if any(ctx.needs_input_grad):
            inside = made == integers
            learns = ctx.needs_input_grad[1]
            ctx.save_for_backward(
                inside, torch.where(inside, made - steps, made) if learns else None
            )
        return made.mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (gradient,) = gradients
        inside, slope = ctx.saved_tensors
        of_scale = None
        if slope is not None:
            of_scale = (gradient * slope).sum() / math.sqrt(slope.numel() * INT8_MAX)
        return (gradient * inside if ctx.needs_input_grad[0] else None), of_scale


class _Replaced(torch.autograd.Function):
    """(value, by) -> by, with the gradient going to `value`."""

    @staticmethod
    def forward(_: Any, value: Tensor, by: Tensor) -> Tensor:
        return by

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None
