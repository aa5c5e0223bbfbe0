"""A small untrained network with the statistics of noise, and pictures to train it on."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from detectors.quantize.qat import Start
from detectors.training.data import Folder
from detectors.training.recipes import Recipe
from detectors.training.schedule import Schedule
from detectors.yolo_nas.architecture.model import build
from detectors.yolo_nas.checkpoints import checkpoint
from detectors.yolo_nas.checkpoints.checkpoint import Checkpoint
from pipeline.core.arrays import F32

SIDE = 64
CLASSES = ("red", "green")
TRAIN, VAL = 6, 2


def write_pictures(folder: Path) -> Path:
    """Bright squares of class 0 or 1 on dark noise."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = []
    for n in range(TRAIN + VAL):
        image = rng.integers(0, 80, (SIDE, SIDE, 3), np.uint8)
        x, y = (int(v) for v in rng.integers(4, 36, 2))
        image[y : y + 24, x : x + 24, n % 2] = 255
        cv2.imwrite(str(folder / f"{n}.png"), image[..., ::-1])
        line = {
            "image": f"{n}.png",
            "split": "train" if n < TRAIN else "val",
            "labelled": [0, 1],
            "boxes": [[n % 2, x, y, x + 24, y + 24]],
        }
        lines.append(json.dumps(line))
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    (folder / "index.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def write_checkpoint(path: Path) -> Checkpoint:
    torch.manual_seed(0)
    model = build("yolo_nas_n", len(CLASSES))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.5
    with torch.no_grad():
        for _ in range(6):
            model(torch.rand(2, 3, SIDE, SIDE))
    about = {"class_names": list(CLASSES), "input_size": [SIDE, SIDE], "pictures_seen": 12}
    torch.save({"ema_net": model.state_dict(), "variant": "yolo_nas_n", **about}, path)
    return checkpoint.read(path)


def recipe(pictures: Path, total: int = 8, lr: float = 1e-3) -> Recipe:
    return Recipe(
        variant="yolo_nas_n",
        class_names=CLASSES,
        folders=(Folder(pictures),),
        schedule=Schedule(total, lr=lr, warmup=0, sizes_px=((0.0, SIDE),)),
        batch=2,
        ema_limit=0.0,
        bf16=False,
    )


def begun(folder: Path, pictures: Path, **options: Any) -> Start:
    """What a run in `folder` starts with; it begins as `folder`.pth says."""
    source = write_checkpoint(folder.with_suffix(".pth"))
    make = partial(Start.made, source, recipe(pictures), folder, str(pictures), pictures=4)
    return make(**options)


def noise(count: int = 2) -> F32:
    return np.random.default_rng(1).random((count, 3, SIDE, SIDE), np.float32)
