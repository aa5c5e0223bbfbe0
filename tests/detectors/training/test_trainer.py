"""A run that stops and goes on is the run that never stopped."""

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch

from detectors.training.data import Folder
from detectors.training.schedule import Schedule
from detectors.training.trainer import DivergedError, Pace, Recipe, Trainer


def recipe(pictures: Path, total: int) -> Recipe:
    schedule = Schedule(total, lr=1e-3, warmup=4, sizes_px=((0.0, 64),))
    return Recipe(
        variant="yolo_nas_n",
        class_names=("red", "green"),
        folders=(Folder(pictures),),
        schedule=schedule,
        batch=2,
    )


def weights(trainer: Trainer) -> list[torch.Tensor]:
    return [*trainer.model.state_dict().values(), *trainer.ema.model.state_dict().values()]


def test_resuming_is_exact(pictures: Path, tmp_path: Path) -> None:
    whole = Trainer(recipe(pictures, 8), tmp_path / "whole")
    whole.run()

    first = Trainer(recipe(pictures, 8), tmp_path / "parts")
    first.recipe = replace(first.recipe, schedule=StopsAt(8, first))
    first.run()
    assert first.seen == 4
    second = Trainer(recipe(pictures, 8), tmp_path / "parts", resume=True)
    assert second.seen == 4
    second.run()

    assert second.seen == whole.seen == 8
    assert all(torch.equal(a, b) for a, b in zip(weights(second), weights(whole), strict=True))


class StopsAt(Schedule):
    """The schedule of `recipe`, which asks its trainer to stop after half of the pictures."""

    def __init__(self, total: int, trainer: Trainer) -> None:
        super().__init__(total, lr=1e-3, warmup=4, sizes_px=((0.0, 64),))
        object.__setattr__(self, "trainer", trainer)

    def __reduce__(self) -> tuple[type[Schedule], tuple[object, ...]]:
        return Schedule, (8, 1e-3, 0.05, 4, ((0.0, 64),))

    def lr_at(self, seen: int) -> float:
        if seen >= 2:
            self.trainer._stop = True  # type: ignore[attr-defined]
        return super().lr_at(seen)


def test_a_loss_that_is_no_number_names_the_batch(pictures: Path, tmp_path: Path) -> None:
    trainer = Trainer(recipe(pictures, 8), tmp_path / "run")
    with torch.no_grad():
        trainer.model.backbone.stem.conv.post_bn.bias.fill_(float("nan"))
    with pytest.raises(DivergedError, match=r"loss is nan at batch 0, seed 0"):
        trainer.run()


def test_kernels_decay_and_nothing_else(pictures: Path, tmp_path: Path) -> None:
    trainer = Trainer(recipe(pictures, 8), tmp_path / "run")
    decayed, kept = trainer.optimizer.param_groups
    assert decayed["weight_decay"] > 0
    assert kept["weight_decay"] == 0
    assert all(p.ndim == 4 for p in decayed["params"])
    assert all(p.ndim == 1 for p in kept["params"])
    placeholders = {id(p) for name, p in trainer.model.named_parameters() if "rbr_reparam" in name}
    assert placeholders.isdisjoint(id(p) for group in (decayed, kept) for p in group["params"])


def test_pace_is_due_once_per_period(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("detectors.training.trainer.time.monotonic", lambda: now[0])
    pace = Pace()
    due = []
    for now[0] in (100.0, 105.0, 110.0, 112.0, 120.0):
        due.append(pace.due("write", 10.0))
    assert due == [False, False, True, False, True]


def test_training_leaves_the_processor_as_it_was(pictures: Path, tmp_path: Path) -> None:
    Trainer(recipe(pictures, 2), tmp_path / "run").run()
    tiny = torch.tensor([5e-324], dtype=torch.float64)
    assert (tiny * 1.0).item() > 0
