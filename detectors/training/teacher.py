"""Teachers: trained networks that say, at every anchor, what a student should say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from detectors.base import Engine
from detectors.yolo_nas.architecture.fuse import fold_batch_norms
from detectors.yolo_nas.architecture.heads import REG_MAX, STRIDES, anchor_grid
from detectors.yolo_nas.architecture.model import YoloNASModule
from detectors.yolo_nas.detector import WEIGHTS, Description, resolve
from detectors.yolo_nas.processing import Processing
from pipeline.core.errors import ConfigError

BINS = REG_MAX + 1
EPS = 1e-6  # the least probability that a rebuilt logit stands for


class TeacherOutput(NamedTuple):
    """What a teacher says of B pictures at the student's A anchors, float32 without gradient."""

    logits: Tensor
    """(B, A, C) in the order of the student's classes; anything where `known` is false."""
    distances: Tensor
    """(B, A, 4 * BINS) bin logits: left, top, right, bottom."""
    known: Tensor
    """(C,) bool: the student's classes that the teacher has too."""


class Teacher(Protocol):
    """A trained network in evaluation mode, whatever runs it."""

    def __call__(self, images: Tensor) -> TeacherOutput:
        """Images (B, 3, H, W) f32 RGB in [0, 1], as the student gets them. Blocks while it runs.

        Raises `ConfigError` when the teacher cannot take pictures of that size.
        """


def load_teacher(source: str | Path, class_names: Sequence[str], *, bf16: bool = True) -> Teacher:
    """The network in a file as a teacher of a student with these classes, matched by name.

    A checkpoint, fused, takes pictures of any size and runs where the pictures are, in bfloat16
    where `bf16`. An ONNX file takes its own size only and runs on the CPU; its logits and
    distributions are rebuilt from scores and boxes. The name of a bundled model stands for its
    checkpoint where that is there, else for its ONNX file.

    Raises `ConfigError` when the two have no class in common, and `EngineLoadError` when the file
    is no such model.
    """
    if _is_exported(source):
        engine, name, processing = _open_exported(source)
        return OnnxTeacher(engine, Subject.of(name, processing, class_names))
    from detectors.yolo_nas.checkpoints import checkpoint

    read = checkpoint.read(source)
    model = read.module().fuse(full=True)
    fold_batch_norms(model)
    subject = Subject.of(Path(source).name, read.processing, class_names)
    return ModuleTeacher(model, subject, bf16=bf16)


def check_teacher(source: str | Path, sides_px: Sequence[int]) -> None:
    """Raise `ConfigError` unless the teacher takes square pictures of all these sides, and
    `EngineLoadError` when the file is no such model."""
    if _is_exported(source):
        _, name, processing = _open_exported(source)
        for side in sides_px:
            _check_size(name, processing, (side, side))
    else:
        from detectors.yolo_nas.checkpoints import checkpoint

        checkpoint.read(source)


def _is_exported(source: str | Path) -> bool:
    suffix = Path(source).suffix
    return suffix == ".onnx" or (suffix == "" and not (WEIGHTS / f"{source}.pth").is_file())


def _open_exported(source: str | Path) -> tuple[Engine, str, Processing]:
    from detectors.engines.onnxruntime import OnnxRuntimeEngine

    path = resolve(str(source))
    engine = OnnxRuntimeEngine(path, torch.get_num_threads())
    description = Description.read(engine.metadata, path.name)
    description.check_graph(engine, path.name)
    return engine, path.name, description.processing


def _check_size(name: str, processing: Processing, size: tuple[int, ...]) -> None:
    wanted = processing.input_size
    if size != wanted:
        raise ConfigError(
            "--teacher",
            f"{name} takes pictures of {wanted[0]}x{wanted[1]} only, training "
            f"has them at {size[0]}x{size[1]}; train at that size or take a .pth teacher",
        )


@dataclass(frozen=True, slots=True)
class Subject:
    """Between a student and a teacher: the pictures that this one wants, the classes of both."""

    name: str
    """The teacher's name, for messages."""
    processing: Processing
    columns: tuple[int | None, ...]
    """For each class of the student its place among the teacher's, None where it has none."""

    @classmethod
    def of(cls, name: str, processing: Processing, class_names: Sequence[str]) -> Subject:
        """Match the classes by name; case and outer blanks do not matter."""
        theirs = {known.strip().casefold(): n for n, known in enumerate(processing.class_names)}
        columns = tuple(theirs.get(wanted.strip().casefold()) for wanted in class_names)
        if not any(column is not None for column in columns):
            raise ConfigError(
                "--teacher",
                f"{name} knows none of the classes {', '.join(class_names)}; "
                f"it knows {', '.join(processing.class_names[:10])}",
            )
        return cls(name, processing, columns)

    def show(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) f32 RGB in [0, 1] -> the same as the teacher was trained on."""
        wanted = self.processing
        if wanted.color == "bgr":
            images = images.flip(1)
        mean, std = (images.new_tensor(v).view(3, 1, 1) / 255 for v in (wanted.mean, wanted.std))
        if not mean.any() and bool((std == 1).all()):
            return images
        return (images - mean) / std

    def answer(self, logits: Tensor, distances: Tensor) -> TeacherOutput:
        """What the teacher says (B, A, its classes), in the order of the student's classes."""
        order = [0 if column is None else column for column in self.columns]
        known = torch.tensor([column is not None for column in self.columns], device=logits.device)
        return TeacherOutput(logits[..., order].float(), distances.float(), known)


class ModuleTeacher:
    """A fused torch network as a `Teacher`; goes to wherever the pictures are."""

    def __init__(self, model: YoloNASModule, subject: Subject, *, bf16: bool = True) -> None:
        model.eval().requires_grad_(False)
        self._model = model.to(memory_format=torch.channels_last)
        self._subject, self._bf16 = subject, bf16

    @torch.no_grad()
    def __call__(self, images: Tensor) -> TeacherOutput:
        """See `Teacher`."""
        model, device = self._model.to(images.device), images.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self._bf16):
            features = model.neck(*model.backbone(self._subject.show(images)))
            raw = model.heads.raw(features)
        return self._subject.answer(raw.logits, raw.distances)


class OnnxTeacher:
    """An exported network as a `Teacher`.

    It gives only scores and decoded boxes: a score becomes its logit, a distance the distribution
    over its two neighbouring bins whose mean it is.
    """

    def __init__(self, engine: Engine, subject: Subject) -> None:
        self._engine, self._subject = engine, subject

    @torch.no_grad()
    def __call__(self, images: Tensor) -> TeacherOutput:
        """See `Teacher`."""
        size = (images.shape[2], images.shape[3])
        _check_size(self._subject.name, self._subject.processing, size)
        shown = self._subject.show(images).contiguous().cpu().numpy()
        boxes, scores = (torch.from_numpy(np.asarray(t)) for t in self._engine.run(shown))
        answer = self._subject.answer(scores.logit(EPS), distributions(boxes, size))
        return TeacherOutput(*(part.to(images.device) for part in answer))


def distributions(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes (B, A, 4) xyxy of pictures of `size` (H, W) -> bin logits (B, A, 4 * BINS) that decode
    to them; a distance outside the bins becomes that of the nearest bin."""
    sizes = [(size[0] // stride, size[1] // stride) for stride in STRIDES]
    _, points, strides = anchor_grid(sizes, boxes)
    sides = torch.cat([points - boxes[..., :2], boxes[..., 2:] - points], -1) / strides
    bins = torch.arange(BINS, dtype=boxes.dtype, device=boxes.device)
    shares = (1 - (sides.clamp(0, REG_MAX)[..., None] - bins).abs()).clamp(min=EPS)
    return shares.log().flatten(-2)
