"""Numbers that cannot be meant are refused at birth, and files that cannot be read are named."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the train extra")

from detectors.training import state
from detectors.training.data import Folder
from detectors.training.recipes import Length, Recipe
from detectors.training.schedule import Schedule
from pipeline.core.errors import ConfigError


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("total", 0),
        ("lr", float("nan")),
        ("lr", float("inf")),
        ("first_lr", -1.0),
        ("final_lr_share", float("nan")),
        ("calm_from", -3.0),
        ("sizes_px", ((0.0, 1_000_000_000),)),
    ],
)
def test_a_schedule_of_numbers_that_are_none_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=key.removesuffix("_px")):
        Schedule(**{"total": 100, key: value})


@pytest.mark.parametrize(
    ("key", "value"),
    [("max_gradient", -1.0), ("seed", -1), ("seed", 2**63), ("distill_weight", float("nan"))],
)
def test_a_recipe_of_numbers_that_are_none_is_refused(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=key):
        Recipe("yolo_nas_n", ("red",), (Folder(Path("x")),), Schedule(100), **{key: value})


def test_a_budget_without_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="epochs"):
        Length(float("inf"), "epochs").pictures(16, 100)


@pytest.mark.parametrize("content", [b"junk", b"PK\x03\x04 cut off"])
def test_a_damaged_checkpoint_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / state.LAST).write_bytes(content)
    with pytest.raises(ConfigError, match=r"last\.pth is damaged"):
        state.read_last(tmp_path)


def test_a_checkpoint_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    with pytest.raises(OSError, match="cannot be written") as caught:
        state.write({"net": {}}, folder / state.LAST)
    assert caught.value.filename == str(folder / state.LAST)
    assert not folder.exists()
