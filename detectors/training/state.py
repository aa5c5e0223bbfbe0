"""What a run keeps: checkpoints that it goes on from, and the average of the best snapshots."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from detectors.training.recipes import Recipe
from pipeline.core.errors import ConfigError

LAST, BEST, AVERAGE = "last.pth", "best.pth", "average.pth"
SNAPSHOTS, LOCK = "snapshots", ".lock"


def write(state: dict[str, Any], path: Path) -> None:
    """Save a checkpoint; the file appears whole or not at all. Raises OSError that names it."""
    partial = path.with_suffix(".partial")
    try:
        torch.save(state, partial)
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # torch tells of a full disk by a RuntimeError
        partial.unlink(missing_ok=True)
        code = error.errno if isinstance(error, OSError) and error.errno else errno.EIO
        why = "cannot be written: is the disk full?"
        raise OSError(code, why, str(path)) from error


@contextmanager
def held(out: Path) -> Iterator[None]:
    """`out` for this run alone; the lock of a process that died holds nobody up.

    Raises `ConfigError` while another run has it.
    """
    with (out / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            why = f"{out} is in use by a run that is not over: name another folder"
            raise ConfigError("--out", why) from None
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def read_last(out: Path) -> dict[str, Any]:
    """The checkpoint that a run in `out` goes on from. Raises `ConfigError` without one."""
    path = out / LAST
    if not path.is_file():
        raise ConfigError("--resume", f"{path}: there is no run to go on with")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        why = f"{path} is damaged; begin anew with --from {out / BEST}, if that is there"
        raise ConfigError("--resume", why) from error
    return state


def saved_recipe(out: Path) -> Recipe | None:
    """The recipe of the run in `out`; None when its checkpoint does not tell."""
    plain = read_last(out).get("recipe")
    return None if plain is None else Recipe.from_plain(plain)


def description(recipe: Recipe) -> dict[str, Any]:
    """What every checkpoint says of the network and its training."""
    return {
        "variant": recipe.variant,
        "class_names": list(recipe.class_names),
        "input_size": [recipe.schedule.final_px] * 2,
        "seed": recipe.seed,
        "data": [str(folder.path) for folder in recipe.folders],
        "recipe": recipe.plain(),
    }


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The `most` best networks of a run, in files named by score and step."""

    folder: Path
    most: int

    def offer(self, score: float, step: int, net: dict[str, Tensor]) -> None:
        """Keep the network if it is among the best so far."""
        if self.most == 0:
            return
        self.folder.mkdir(exist_ok=True)
        write({"net": net}, self.folder / f"{score:.6f}-{step:08d}.pth")
        for path in self.paths()[self.most :]:
            path.unlink()

    def paths(self) -> list[Path]:
        """Best first; of equals the later."""
        return sorted(self.folder.glob("*.pth"), reverse=True)

    def average(self) -> dict[str, Tensor] | None:
        """The mean of all that are kept; None unless there are several."""
        paths = self.paths()
        if len(paths) < 2:
            return None
        load = (torch.load(path, weights_only=True)["net"] for path in paths)
        return mean_state(load, len(paths))


def mean_state(states: Iterable[dict[str, Tensor]], count: int) -> dict[str, Tensor]:
    """Mean of the float entries of `count` state dicts; counters are those of the first."""
    mean: dict[str, Tensor] = {}
    for state in states:
        for key, value in state.items():
            if key not in mean:
                mean[key] = value / count if value.is_floating_point() else value.clone()
            elif value.is_floating_point():
                mean[key] += value / count
    return mean


def check_same_run(state: dict[str, Any], recipe: Recipe) -> None:
    """Raise `ConfigError` unless a checkpoint to go on from is of this network and data order."""
    for key, option, wanted in (
        ("variant", "--variant", recipe.variant),
        ("class_names", "--classes", list(recipe.class_names)),
    ):
        if state[key] != wanted:
            why = f"the run in progress has {state[key]}, not {wanted}; begin another with --from"
            raise ConfigError(option, why)
    if state["pictures_seen"] % (recipe.batch * recipe.accumulate):
        why = f"{state['pictures_seen']} pictures are seen, no multiple of {recipe.batch} x "
        raise ConfigError("--batch", f"{why}{recipe.accumulate}: go on with the batch of before")
