"""Pseudo-labels: a model labels footage that nobody has, and what it is sure of trains the next.

The result is a folder with `index.jsonl`, as `detectors.training.data` reads it: every picture
in the split `train`, since a model's own opinion is no measure of anything. No torch here.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

import cv2
import numpy as np

from detectors.training.confidence import Find, Label, Policy, scaled
from detectors.training.footage import FootageError, Shot, shots
from pipeline.core.arrays import F32, U8, Bool
from pipeline.core.errors import ConfigError

INDEX, NAMES, POLICY, README = "index.jsonl", "classes.txt", "policy.json", "README.md"
THUMBNAIL_PX = 64
QUALITY = {".webp": cv2.IMWRITE_WEBP_QUALITY, ".jpg": cv2.IMWRITE_JPEG_QUALITY}

Fate = Literal["written", "duplicate", "uncertain", "empty"]


@dataclass(slots=True)
class Account:
    """What became of every picture: seen = written + duplicate + uncertain + empty."""

    seen: int = 0
    fates: Counter[Fate] = field(default_factory=Counter)
    boxes: Counter[str] = field(default_factory=Counter)
    """Boxes written, by class."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Pictures written that are not labelled for a class that was to be taught, by class."""
    faults: list[str] = field(default_factory=list)
    """Files that could not be read, or not to their end."""

    def counted(self) -> dict[Fate, int]:
        """The number of pictures of every fate, those without any among them."""
        return {fate: self.fates[fate] for fate in get_args(Fate)}

    def plain(self) -> dict[str, Any]:
        """As numbers and strings."""
        return {
            "seen": self.seen,
            **{str(fate): count for fate, count in self.counted().items()},
            "boxes": dict(self.boxes),
            "left_out": dict(self.left_out),
            "faults": self.faults,
        }


@dataclass(frozen=True, slots=True)
class Form:
    """How pictures are taken and kept: the longest side at most `longest_side_px`.

    One whose mean absolute difference from the last one kept of its scene is below
    `duplicate_levels`, of 255, is a duplicate; both are compared as small grey pictures. `empty`
    keeps pictures without a box, which teach background.
    """

    every_s: float = 1.0
    longest_side_px: int = 448
    suffix: Literal[".webp", ".jpg"] = ".webp"
    quality: int = 90
    duplicate_levels: float = 1.0
    empty: bool = True


class TrainingSet:
    """A new folder of pictures with labels. Raises `ConfigError` when there is one already."""

    def __init__(self, out: Path, class_names: Sequence[str], form: Form) -> None:
        if (out / INDEX).exists():
            raise ConfigError("--out", f"{out} holds a training set already; name another folder")
        (out / "train").mkdir(parents=True, exist_ok=True)
        (out / NAMES).write_text("\n".join(class_names) + "\n", encoding="utf-8")
        self.out, self.class_names, self._form = out, tuple(class_names), form
        self._index = (out / INDEX).open("w", encoding="utf-8")
        self._names: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._index.close()

    def add(self, shot: Shot, image: U8, label: Label) -> None:
        """Write `image`, a picture of the shot at any scale, and its label in its pixels."""
        name = self._name(shot)
        path = self.out / name
        if not cv2.imwrite(str(path), image[..., ::-1], [QUALITY[path.suffix], self._form.quality]):
            raise OSError(f"{path}: cannot be written")
        height, width = image.shape[:2]
        boxes = [
            [int(class_id), *(round(float(value), 1) for value in xyxy)]
            for class_id, xyxy in zip(label.class_id, label.xyxy, strict=True)
        ]
        row = {
            "image": name,
            "split": "train",
            "source": shot.scene.name,
            "second": round(shot.second, 3),
            "width": width,
            "height": height,
            "labelled": list(label.labelled),
            "boxes": boxes,
            "scores": [round(float(score), 3) for score in label.score],
        }
        self._index.write(json.dumps(row) + "\n")
        self._index.flush()

    def _name(self, shot: Shot) -> str:
        """A name of the file and the millisecond; numbered where two files have one name."""
        stem = re.sub(r"[^\w.-]", "_", shot.file.stem)[:60]
        base = f"train/{stem}_{round(shot.second * 1000):07d}"
        name, number = base, 1
        while name in self._names:
            number += 1
            name = f"{base}_{number}"
        self._names.add(name)
        return name + self._form.suffix


class Labeller:
    """Looks at shots one after the other and writes those that teach something."""

    def __init__(
        self, find: Find, policy: Policy, form: Form, into: TrainingSet, wanted: Bool
    ) -> None:
        """`wanted` (C,) bool: the classes of `into` to teach."""
        self.account = Account()
        self._find, self._policy, self._form = find, policy, form
        self._into, self._wanted = into, wanted
        self._scene: Path | None = None
        self._last: F32 | None = None

    def add(self, shot: Shot) -> Fate:
        """Say what became of the shot, having written it or not."""
        self.account.seen += 1
        fate = self._settle(shot)
        self.account.fates[fate] += 1
        return fate

    def _settle(self, shot: Shot) -> Fate:
        thumbnail = _thumbnail(shot.image)
        if self._resembles_last(shot, thumbnail):
            return "duplicate"
        image = _at_most(shot.image, self._form.longest_side_px)
        found = scaled(self._find(shot.image), shot.image.shape, image.shape)
        label = self._policy.decide(found, image.shape[:2], self._wanted)
        self._scene, self._last = shot.scene, thumbnail
        if len(label.class_id) == 0:
            if not label.labelled:
                return "uncertain"
            if not self._form.empty:
                return "empty"
        self._into.add(shot, image, label)
        self._count(label)
        return "written"

    def _resembles_last(self, shot: Shot, thumbnail: F32) -> bool:
        """Whether the shot shows nothing new since the last one of its scene that was looked at."""
        last = self._last
        if last is None or shot.scene != self._scene or last.shape != thumbnail.shape:
            return False
        return float(np.abs(thumbnail - last).mean()) < self._form.duplicate_levels

    def _count(self, label: Label) -> None:
        names = self._into.class_names
        self.account.boxes.update(names[n] for n in label.class_id)
        missing = np.setdiff1d(np.flatnonzero(self._wanted), label.labelled)
        self.account.left_out.update(names[n] for n in missing)


def chosen(names: Sequence[str], wanted: Collection[str]) -> Bool:
    """(C,) which of the model's classes are wanted; all where none is named. Raises
    `ConfigError` for one that it does not know."""
    if unknown := sorted(set(wanted) - set(names)):
        why = f"no class {', '.join(unknown)}; the model knows {', '.join(names)}"
        raise ConfigError("--classes", why)
    return np.array([not wanted or name in wanted for name in names])


def label_all(
    files: Iterable[Path],
    labeller: Labeller,
    form: Form,
    most: int | None = None,
    watch: Callable[[Account], None] = lambda _: None,
) -> Account:
    """Label footage until it ends or `most` pictures are written; `watch` is told after each one.

    A file that cannot be read is named in the account, and the others go on. Blocks until done.
    """
    account = labeller.account
    for file in files:
        try:
            for shot in shots(file, form.every_s):
                labeller.add(shot)
                watch(account)
                if most is not None and account.fates["written"] >= most:
                    return account
        except FootageError as error:
            account.faults.append(str(error))
    return account


def describe(
    out: Path, model: dict[str, str], policy: Policy, settings: dict[str, Any], account: Account
) -> None:
    """Write beside the index how it came to be: `policy.json`, and a page for people."""
    said = {"model": model, "policy": asdict(policy)} | settings | {"account": account.plain()}
    (out / POLICY).write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    counts = ", ".join(f"{count} {fate}" for fate, count in account.fates.most_common())
    boxes = ", ".join(f"{count} {name}" for name, count in account.boxes.most_common())
    lines = [
        "# Pseudo-labels",
        "",
        f"Boxes by the model `{model['name']}` (SHA-256 `{model['sha256']}`), looked at by nobody.",
        "What the model's licence says of works derived from it holds for them, and what the",
        "footage's licence says holds for the pictures.",
        "",
        f"- Pictures: {account.seen} seen: {counts}.",
        f"- Boxes: {boxes or 'none'}.",
        f"- A detection is a box from a score of {policy.accept:g} on. One between "
        f"{policy.discard:g} and that leaves its class out of `labelled` in that picture.",
        f"- All else: `{POLICY}`.",
    ]
    (out / README).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _thumbnail(image: U8) -> F32:
    """Small, grey, as floats: noise averages out, what moves stays."""
    grey: F32 = _at_most(image, THUMBNAIL_PX).mean(2, dtype=np.float32)
    return grey


def _at_most(image: U8, side_px: int) -> U8:
    """The picture, made smaller where its longest side is above `side_px`."""
    height, width = image.shape[:2]
    scale = side_px / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
