"""What one batch does to a network, and what it leaves alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from torch import Tensor

from detectors.training.data import Batch, Folder, Mixer
from detectors.training.learner import Learner
from detectors.training.parameters import placeholders
from detectors.training.recipes import Recipe
from detectors.training.schedule import Schedule
from pipeline.core.errors import ConfigError


@pytest.fixture
def recipe(pictures: Path) -> Recipe:
    return Recipe(
        variant="yolo_nas_n",
        class_names=("red", "green"),
        folders=(Folder(pictures),),
        schedule=Schedule(100, lr=1e-3, warmup=0, sizes_px=((0.0, 64),)),
        batch=2,
    )


@pytest.fixture
def batches(recipe: Recipe) -> Callable[[int], Batch]:
    names = recipe.class_names
    return Mixer(recipe.folders, names, recipe.batch, recipe.seed, recipe.schedule).batch


def copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in state.items()}


def test_placeholders_get_no_gradient_no_decay_and_no_average(
    recipe: Recipe, batches: Callable[[int], Batch]
) -> None:
    learner = Learner(recipe)
    resting = placeholders(learner.model)
    assert len(resting) > 10
    before, before_ema = copied(learner.model.state_dict()), copied(learner.ema.model.state_dict())
    with torch.no_grad():
        for name, parameter in learner.model.named_parameters():
            if name in resting:
                parameter.add_(1.0)
    for n in range(3):
        learner.learn(batches(n))
    after, after_ema = learner.model.state_dict(), learner.ema.model.state_dict()
    for name in resting:
        assert torch.equal(after[name], before[name] + 1.0)
        assert torch.equal(after_ema[name], before_ema[name])
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    trained = {name for name, p in learner.model.named_parameters() if p.requires_grad}
    assert trained.isdisjoint(resting)
    assert trained <= moved


@pytest.mark.parametrize("decay_alpha", [False, True])
def test_kernels_decay_norms_and_biases_do_not(recipe: Recipe, decay_alpha: bool) -> None:
    learner = Learner(replace(recipe, decay_alpha=decay_alpha))
    names = {id(p): name for name, p in learner.model.named_parameters()}
    decayed, kept = learner.optimizer.param_groups
    assert decayed["weight_decay"] == recipe.weight_decay
    assert kept["weight_decay"] == 0
    vectors = {names[id(p)] for p in decayed["params"] if p.ndim == 1}
    alphas = {name for name in names.values() if name.endswith(".alpha")}
    assert vectors == (alphas if decay_alpha else set())
    assert all(p.ndim == 1 for p in kept["params"])


def test_accumulated_gradients_make_one_step(
    recipe: Recipe, batches: Callable[[int], Batch]
) -> None:
    two, four = (Learner(replace(recipe, accumulate=n, bf16=False)) for n in (2, 4))
    before = copied(two.model.state_dict())
    for learner in (two, four):
        learner.learn(batches(0))
    assert two.step == 0
    for a, b in zip(two.model.parameters(), four.model.parameters(), strict=True):
        if a.grad is not None:
            assert b.grad is not None
            torch.testing.assert_close(a.grad / 2, b.grad, rtol=1e-4, atol=1e-9)
    assert two.lr == recipe.schedule.lr_at(0)
    two.learn(batches(1))
    assert (two.step, two.seen) == (1, 4)
    assert two.lr == recipe.schedule.lr_at(4)
    name = "heads.head1.reg_pred.weight"
    assert not torch.equal(before[name], two.model.state_dict()[name])


def test_frozen_parts_stay_as_they_were(recipe: Recipe, batches: Callable[[int], Batch]) -> None:
    learner = Learner(replace(recipe, freeze=("backbone", "neck.neck1")))
    before = copied(learner.model.state_dict())
    learner.learn(batches(0))
    after = learner.model.state_dict()
    kept = {name for name in before if torch.equal(before[name], after[name])}
    frozen = {name for name in before if name.startswith(("backbone.", "neck.neck1."))}
    assert frozen <= kept
    assert "neck.neck2.conv.conv.weight" not in kept
    assert "neck.neck2.conv.bn.running_mean" not in kept


def test_freezing_what_is_not_there(recipe: Recipe) -> None:
    with pytest.raises(ConfigError, match="no part 'stem'; it has backbone, neck, heads"):
        Learner(replace(recipe, freeze=("stem",)))


def test_freezing_everything(recipe: Recipe) -> None:
    with pytest.raises(ConfigError, match="nothing is left"):
        Learner(replace(recipe, freeze=("backbone", "neck", "heads")))


def test_a_teacher_adds_to_the_loss_and_ground_truth_stays(
    recipe: Recipe, batches: Callable[[int], Batch], tmp_path: Path
) -> None:
    pytest.importorskip("detectors.training.distill")
    teacher = tmp_path / "teacher.pth"
    state: dict[str, Any] = Learner(replace(recipe, seed=1)).state()
    torch.save(
        state | {"variant": "yolo_nas_n", "class_names": ["red", "green"], "input_size": [64, 64]},
        teacher,
    )
    alone = Learner(recipe).learn(batches(0))
    guided = Learner(replace(recipe, teacher=str(teacher), distill_weight=2.0)).learn(batches(0))
    assert {name: guided[name] for name in ("cls", "iou", "dfl")} == {
        name: alone[name] for name in ("cls", "iou", "dfl")
    }
    assert guided["distill"] > 0
    assert guided["loss"] == pytest.approx(alone["loss"] + guided["distill"], rel=1e-5)
