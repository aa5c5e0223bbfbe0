"""Fusing: training-time branches and batch norms become single convolutions.

With t = gamma / sqrt(var + eps) a batch norm is y = t * x + (beta - mean * t), and convolutions of
one stride add up after padding their kernels to one size. Values are fused in float64.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from detectors.yolo_nas.architecture.blocks import (
    BN_EPS,
    Conv,
    ConvBNReLU,
    QARepVGGBlock,
    batch_norm,
)


@torch.no_grad()
def fuse_blocks(model: nn.Module, *, full: bool) -> None:
    """Fuse every QARepVGG block of `model` in place; partially fused blocks may go on to full.

    Raises ValueError, and changes nothing, when the partial form of a fully fused model is asked
    for: what was folded cannot be told apart again.
    """
    blocks = [module for module in model.modules() if isinstance(module, QARepVGGBlock)]
    if not full and any(block.form == "full" for block in blocks):
        raise ValueError("the model is fully fused and cannot go back to the partial form")
    for block in blocks:
        if block.form == "branches":
            _fuse_branches(block)
        if full and block.form == "partial":
            _fuse_post_bn(block)


def has_norms(keys: Iterable[str]) -> bool:
    """False for the keys of a state dict whose batch norms were all folded."""
    return any(key.endswith(".running_var") for key in keys)


@torch.no_grad()
def fold_batch_norms(model: nn.Module) -> None:
    """Fold the batch norm of every plain Conv + BN pair into its convolution, in place.

    For inference only; the result computes the same and has other state-dict keys. Pairs that are
    folded already stay as they are.
    """
    for module in model.modules():
        if isinstance(module, Conv) and isinstance(module.bn, nn.BatchNorm2d):
            module.conv = _folded(module.conv, module.bn)
            module.bn = nn.Identity()
        elif isinstance(module, ConvBNReLU) and len(module.seq) > 1:
            conv, bn = module.seq
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(bn, nn.BatchNorm2d)
            module.seq = nn.Sequential(_folded(conv, bn))


@torch.no_grad()
def unfold_batch_norms(model: nn.Module) -> None:
    """Undo `fold_batch_norms` in form, in place: the state dict has the keys of a checkpoint again.

    Each new batch norm adds its convolution's bias and changes nothing else. Folding again gives
    the same float32 kernels: var + eps is 1 to within 2e-8, less than half of a last place.
    """
    for module in model.modules():
        if isinstance(module, Conv) and isinstance(module.bn, nn.Identity):
            module.bn = _bias_alone(module.conv)
        elif isinstance(module, ConvBNReLU) and len(module.seq) == 1:
            (conv,) = module.seq
            assert isinstance(conv, nn.Conv2d)
            module.seq = nn.Sequential()
            module.seq.add_module("conv", conv)
            module.seq.add_module("bn", _bias_alone(conv))


def _bias_alone(conv: nn.Conv2d) -> nn.BatchNorm2d:
    """A batch norm that adds the bias, which it takes from `conv`."""
    assert conv.bias is not None
    bn = batch_norm(conv.out_channels).to(conv.bias).eval()
    assert bn.running_var is not None
    bn.running_var.fill_(1 - BN_EPS)
    bn.bias.copy_(conv.bias)
    conv.bias = None
    return bn


def _fuse_branches(block: QARepVGGBlock) -> None:
    kernel, bias = _scaled(block.branch_3x3.conv.weight.double(), None, block.branch_3x3.bn)
    kernel = kernel + functional.pad(block.branch_1x1.weight.double(), (1, 1, 1, 1))
    if block.branch_1x1.bias is not None:
        bias = bias + block.branch_1x1.bias.double()
    if block.identity:
        kernel[:, :, 1, 1] += torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device)
    _assign(block.rbr_reparam, kernel, bias)
    block.rbr_reparam.requires_grad_(True)
    del block.branch_3x3, block.branch_1x1
    block.form = "partial"


def _fuse_post_bn(block: QARepVGGBlock) -> None:
    conv = block.rbr_reparam
    assert conv.bias is not None
    _assign(conv, *_scaled(conv.weight.double(), conv.bias.double(), block.post_bn))
    conv.requires_grad_(False)
    del block.post_bn
    block.form = "full"


def _scaled(kernel: Tensor, bias: Tensor | None, bn: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Kernel and bias of `bn` after a convolution, in float64."""
    assert bn.running_mean is not None
    assert bn.running_var is not None
    t = bn.weight.double() / torch.sqrt(bn.running_var.double() + bn.eps)
    start = 0.0 if bias is None else bias
    return kernel * t.view(-1, 1, 1, 1), bn.bias.double() + (start - bn.running_mean.double()) * t


def _assign(conv: nn.Conv2d, kernel: Tensor, bias: Tensor) -> None:
    assert conv.bias is not None
    conv.weight.copy_(kernel)
    conv.bias.copy_(bias)


def _folded(conv: nn.Conv2d, bn: nn.BatchNorm2d) -> nn.Conv2d:
    kernel, bias = _scaled(conv.weight.double(), None, bn)
    conv.weight.copy_(kernel)
    conv.bias = nn.Parameter(bias.to(conv.weight))
    return conv
