"""Every member of the family computes the same unfused, partially fused and fully fused."""

from collections.abc import Callable
from itertools import pairwise

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from torch import Tensor

from detectors.yolo_nas.architecture.blocks import QARepVGGBlock
from detectors.yolo_nas.architecture.fuse import fold_batch_norms
from detectors.yolo_nas.architecture.model import YoloNASModule, build

Filled = Callable[[str, int], YoloNASModule]

# Keys unfused, partially and fully fused; parameters trained, and after full fusion.
FAMILY = {
    "yolo_nas_s": ((921, 625, 440), 12_878_304, 12_175_888),
    "yolo_nas_m": ((965, 653, 458), 33_861_346, 31_906_578),
    "yolo_nas_l": ((1097, 737, 512), 44_529_448, 41_999_192),
}
PIXELS, SCORES = 4e-4, 2e-6
"""The original drifts as far when it is fused: by 4e-4 px and 1.1e-6 on the weights of S."""


@torch.inference_mode()
def outputs(model: YoloNASModule) -> tuple[Tensor, Tensor]:
    images = torch.rand(1, 3, 96, 64, generator=torch.Generator().manual_seed(5))
    (boxes, scores), _ = model(images)
    return boxes, scores


@pytest.mark.parametrize("variant", ["yolo_nas_n", *FAMILY])
def test_all_forms_compute_the_same(filled: Filled, variant: str) -> None:
    model = filled(variant, 80)
    found = [outputs(model), outputs(model.fuse()), outputs(model.fuse(full=True))]
    fold_batch_norms(model)
    found.append(outputs(model))
    assert found[0][1].std() > 0.05, "scores that are all alike would prove nothing"
    for (boxes, scores), (fused_boxes, fused_scores) in pairwise(found):
        torch.testing.assert_close(fused_boxes, boxes, rtol=0, atol=PIXELS)
        torch.testing.assert_close(fused_scores, scores, rtol=0, atol=SCORES)


@pytest.mark.parametrize("variant", FAMILY)
def test_keys_and_parameters_after_each_fusion(variant: str) -> None:
    keys, trained, deployed = FAMILY[variant]
    with torch.device("meta"):
        model = build(variant, 80)
        counts = [len(model.state_dict())]
        assert sum(p.numel() for p in model.parameters() if p.requires_grad) == trained
        counts += [len(model.fuse().state_dict()), len(model.fuse(full=True).state_dict())]
    assert tuple(counts) == keys
    assert sum(p.numel() for p in model.parameters()) == deployed


def test_place_holders_get_no_gradient_until_they_are_fused() -> None:
    model = build("yolo_nas_n", 2)
    held = [b.rbr_reparam for b in model.modules() if isinstance(b, QARepVGGBlock)]

    def gradients() -> list[bool]:
        model.zero_grad()
        (_, scores), _ = model(torch.rand(2, 3, 64, 64))
        scores.sum().backward()
        return [p.grad is not None for conv in held for p in conv.parameters()]

    assert not any(gradients())
    model.fuse()
    assert all(gradients())
    model.fuse(full=True)
    assert not any(p.requires_grad for conv in held for p in conv.parameters())


def test_what_is_fused_stays_so() -> None:
    model = build("yolo_nas_n", 2).eval()
    partial = [key for key in model.fuse().state_dict() if "post_bn" in key]
    assert [key for key in model.fuse().state_dict() if "post_bn" in key] == partial != []
    model.fuse(full=True)
    before = outputs(model)
    with pytest.raises(ValueError, match="is fully fused and cannot go back to the partial form"):
        model.fuse()
    model.fuse(full=True)
    fold_batch_norms(model)
    fold_batch_norms(model)
    for found, wanted in zip(outputs(model), before, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=PIXELS)
