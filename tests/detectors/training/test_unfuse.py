"""What was trained as it is deployed gets branches and batch norms again."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from torch import Tensor, nn

from detectors.training.data import Folder
from detectors.training.recipes import Recipe
from detectors.training.schedule import Schedule
from detectors.training.trainer import Trainer
from detectors.training.unfuse import unfused
from detectors.yolo_nas.architecture.model import YoloNASModule, build
from detectors.yolo_nas.checkpoints.checkpoint import read


def trained_like(seed: int) -> YoloNASModule:
    """A network whose batch norms are no longer as they were made."""
    torch.manual_seed(seed)
    model = build("yolo_nas_n", 2)
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.weight.uniform_(0.5, 1.5)
                part.bias.normal_(0, 0.1)
        for _ in range(3):
            model(torch.rand(2, 3, 64, 64))
    return model.eval()


def outputs(model: YoloNASModule, images: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        (boxes, scores), _ = model(images)
    return boxes, scores


def test_the_same_is_computed_and_the_norms_hold_the_statistics_of_pictures() -> None:
    model = trained_like(5)
    images = torch.rand(4, 3, 64, 64)
    before = outputs(model, images)
    again = unfused(model.fuse(full=True), [images])
    for now, then in zip(outputs(again, images), before, strict=True):
        torch.testing.assert_close(now, then, atol=2e-2, rtol=1e-3)
    norm = again.backbone.stem.conv.branch_3x3.bn
    assert isinstance(norm, nn.BatchNorm2d)
    seen: list[Tensor] = []
    hook = norm.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    outputs(again, images)
    hook.remove()
    assert norm.running_mean is not None
    torch.testing.assert_close(norm.running_mean, seen[0].mean(dim=(0, 2, 3)))


def test_training_mode_begins_near_evaluation_mode() -> None:
    images = torch.rand(4, 3, 64, 64)
    again = unfused(trained_like(6).fuse(full=True), [images])
    evaluated = outputs(again, images)[1]
    again.train()
    torch.testing.assert_close(outputs(again, images)[1], evaluated, atol=0.02, rtol=0.1)


def test_statistics_need_a_picture() -> None:
    with pytest.raises(ValueError, match="no pictures"):
        unfused(build("yolo_nas_n", 2).eval().fuse(full=True), [])


@pytest.mark.usefixtures("one_thread")
def test_a_folded_run_goes_on_and_its_checkpoint_is_read(pictures: Path, tmp_path: Path) -> None:
    torch.manual_seed(7)
    start = tmp_path / "start.pth"
    about = {"class_names": ["red", "green"], "input_size": [32, 32]}
    torch.save(about | {"ema_net": trained_like(7).state_dict()}, start)
    recipe = Recipe(
        variant="yolo_nas_n",
        class_names=("red", "green"),
        folders=(Folder(pictures),),
        schedule=Schedule(8, lr=1e-4, warmup=2, sizes_px=((0.0, 32),)),
        batch=2,
        start=str(start),
        folded=True,
    )
    out = tmp_path / "run"
    Trainer(recipe, out).run(stop_at=2)
    trainer = Trainer(recipe, out, resume=True)
    trainer.run()
    made = read(out / "last.pth")
    assert made.form == "full"
    images = torch.rand(1, 3, 32, 32)
    expected = outputs(trainer.learner.ema.model.eval(), images)
    for now, then in zip(outputs(made.module(), images), expected, strict=True):
        torch.testing.assert_close(now, then, atol=1e-2, rtol=1e-3)
