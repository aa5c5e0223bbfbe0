"""A deployed network back to one with branches and batch norms, to train on from.

    python -m detectors.training.unfuse runs/last.pth --data street5 --out yolo_nas_n.pth

What `--set folded=true` has trained is one convolution a block. This makes the checkpoint of a
network that computes the same in evaluation mode, and nearly the same in training mode: its batch
norms hold the statistics of pictures.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from detectors.training.data import read_dataset
from detectors.training.data.pixels import read_image
from detectors.training.state import write
from detectors.yolo_nas.architecture.blocks import BN_EPS, QARepVGGBlock
from detectors.yolo_nas.architecture.model import YoloNASModule, build
from detectors.yolo_nas.checkpoints.checkpoint import Checkpoint, read

PICTURES = 256


@torch.no_grad()
def unfused(source: YoloNASModule, batches: Iterable[Tensor]) -> YoloNASModule:
    """A network with branches that computes what the fully fused `source` does, evaluation mode.

    `batches` (B, 3, H, W) float32 RGB in [0, 1] give the statistics of its batch norms; each is run
    once. The 3x3 branches hold the kernels, less the identity, the 1x1 branches begin at zero.
    Raises ValueError without a batch.
    """
    model = build(source.spec.name, source.num_classes).eval()
    fused = dict(source.named_modules())
    for name, block in model.named_modules():
        if isinstance(block, QARepVGGBlock):
            _part(block, fused[name].get_submodule("rbr_reparam"))
    blocks = tuple(n for n, m in model.named_modules() if isinstance(m, QARepVGGBlock))
    rest = {k: v for k, v in source.state_dict().items() if not k.startswith(blocks)}
    model.load_state_dict(rest, strict=False)
    _measure(model, batches)
    return model


def _part(block: QARepVGGBlock, conv: nn.Module) -> None:
    """Give the branches of `block` what the one convolution computes."""
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    kernel = conv.weight.clone()
    if block.identity:
        kernel[:, :, 1, 1] -= torch.eye(len(kernel))
    block.branch_3x3.conv.weight.copy_(kernel)
    for bn, bias in ((block.branch_3x3.bn, conv.bias), (block.post_bn, None)):
        assert bn.running_var is not None
        bn.running_var.fill_(1 - BN_EPS)
        if bias is not None:
            bn.bias.copy_(bias)
    block.branch_1x1.weight.zero_()
    assert block.branch_1x1.bias is not None
    block.branch_1x1.bias.zero_()


def _measure(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set each batch norm's mean and variance to those of its input, and what it computes as
    before by its weight and bias."""
    sums: dict[nn.BatchNorm2d, Tensor] = {}

    def add(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        assert isinstance(module, nn.BatchNorm2d)
        x = given[0].double()
        count = torch.full((x.shape[1],), float(x.numel() // x.shape[1]), dtype=torch.float64)
        seen = torch.stack([count, x.sum(dim=(0, 2, 3)), x.square().sum(dim=(0, 2, 3))])
        sums[module] = sums[module] + seen if module in sums else seen

    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(add) for norm in norms]
    for batch in batches:
        model(batch)
    for hook in hooks:
        hook.remove()
    if not sums:
        raise ValueError("no pictures to measure batch norms with")
    for norm, (count, total, squares) in sums.items():
        _restate(norm, total / count, squares / count - (total / count).square())


def _restate(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """y = t * x + (bias - running_mean * t) stays; see `architecture.fuse`."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    t = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    shift = norm.bias.double() - norm.running_mean.double() * t
    variance = variance.clamp(min=0)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_(t * torch.sqrt(variance + norm.eps))
    norm.bias.copy_(shift + mean * t)


def _batches(checkpoint: Checkpoint, data: str, pictures: int) -> Iterable[Tensor]:
    """Training pictures, evenly spread, prepared one by one as the network wants them."""
    names = checkpoint.processing.class_names
    listed = read_dataset(data, "train").selected(names).limited(pictures).pictures
    for picture in listed:
        chw, _ = checkpoint.processing.letterbox.apply(read_image(picture.path))
        yield torch.from_numpy(chw)[None]


def main() -> None:
    parser = argparse.ArgumentParser(description="Branches and batch norms for a fused network.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--size", type=int, help="side of the input in pixels, else as trained")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    checkpoint = read(given.checkpoint)
    source = checkpoint.module().fuse(full=True)
    model = unfused(source, _batches(checkpoint, given.data, given.pictures))
    half = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    letterbox = checkpoint.processing.letterbox
    about = {k: v for k, v in checkpoint.about.items() if k != "recipe"}
    about["data"] = [Path(folder).name for folder in about.get("data", [])]
    about |= {"variant": checkpoint.variant, "class_names": list(checkpoint.processing.class_names)}
    about["input_size"] = [given.size] * 2 if given.size else [letterbox.height, letterbox.width]
    write(about | {"ema_net": half}, given.out)


if __name__ == "__main__":
    main()
