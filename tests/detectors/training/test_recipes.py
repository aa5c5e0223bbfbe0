"""Recipes as data: presets become recipes, recipes become presets again."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from detectors.training.data import Folder
from detectors.training.policies import POLICIES
from detectors.training.recipes import PRESETS, Length, Preset, Recipe
from pipeline.core.errors import ConfigError


def recipe(preset: Preset, pictures: int = 1000) -> Recipe:
    return Recipe(
        variant="yolo_nas_n",
        class_names=("red", "green"),
        folders=(Folder(Path("here"), 0.25), Folder(Path("there"))),
        schedule=preset.schedule(pictures, 320),
        freeze=("backbone",),
        **preset.of_recipe(),
    )


def test_published_recipe_for_coco() -> None:
    made = PRESETS["coco"].schedule(118_287, 320)
    assert made.total == 300 * 118_287
    assert made.warmup == 118_287  # 1000 steps of 256, but an epoch at most
    assert (made.lr, made.first_lr, made.final_lr_share) == (2e-4, 1e-6, 0.1)
    assert made.sizes_px == ((0.0, 640),)
    of_recipe = PRESETS["coco"].of_recipe()
    assert (of_recipe["weight_decay"], of_recipe["ema_limit"]) == (1e-5, 0.9997)
    assert of_recipe["decay_alpha"]
    assert of_recipe["average"] == 10


def test_published_recipe_for_fine_tuning() -> None:
    made = PRESETS["finetune"].schedule(40, 320)
    assert made.total == 100 * 512
    assert made.warmup == 3 * 512
    assert made.lr == 5e-4
    assert made.sizes_px == ((0.0, 320),)
    assert PRESETS["finetune"].ema_limit == 0.9


def test_our_own_recipe_is_a_budget_of_pictures() -> None:
    made = PRESETS["eyrie"].schedule(9, 640)
    assert (made.total, made.warmup) == (250_000, 16_000)
    assert made.final_px == 320
    short = PRESETS["eyrie"].changed({"budget": Length(1000, "pictures")}).schedule(9, 640)
    assert short.warmup == 200


@pytest.mark.parametrize("name", PRESETS)
def test_plain_data_and_back(name: str) -> None:
    made = recipe(PRESETS[name])
    assert Recipe.from_plain(made.plain()) == made
    assert Recipe.from_plain(made.plain() | {"from a later version": 1}) == made
    again = Preset.of(made)
    assert replace(recipe(again), schedule=again.schedule(1, 0)) == made
    assert made.policy in POLICIES


def test_lengths() -> None:
    assert [Length(3, unit).pictures(8, 100) for unit in ("pictures", "steps", "epochs")] == [
        3,
        24,
        300,
    ]


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("speed", 1, "the recipe has no 'speed'; it has budget, "),
        ("average", 1.5, "average=1.5 is no int"),
        ("average", True, "average=True is no int"),
        ("calm_from", "late", "calm_from='late' is no float"),
    ],
)
def test_changes_that_cannot_be(key: str, value: object, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        PRESETS["eyrie"].changed({key: value})


@pytest.mark.parametrize(
    ("key", "value"), [("batch", 0), ("accumulate", 0), ("ema_limit", 1.5), ("watch", "map75")]
)
def test_recipes_check_themselves(key: str, value: Any) -> None:
    made = recipe(PRESETS["eyrie"])
    with pytest.raises(ConfigError, match=key):
        replace(made, **{key: value})
