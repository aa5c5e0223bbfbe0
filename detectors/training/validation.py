"""How good a network in training is by now: what it finds in the val splits, and what is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from detectors.evaluation.average_precision import (
    EVALUATION_RULE,
    Found,
    Metrics,
    Truth,
    evaluate,
)
from detectors.letterbox import Letterbox
from detectors.training.data import Picture, read_dataset, read_image
from detectors.yolo_nas.architecture.model import YoloNASModule
from detectors.yolo_nas.postprocess import suppress

TOGETHER = 8  # pictures in a forward pass


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found in the val split of one folder; `found[i]` is for `pictures[i]`."""

    name: str
    pictures: Sequence[Picture]
    found: Sequence[Found]
    truths: Sequence[Truth]
    metrics: Metrics


def judge(
    model: YoloNASModule, folders: Sequence[Path], class_names: Sequence[str], size_px: int
) -> list[Verdict]:
    """One verdict for each folder with a val split; `model` is in evaluation mode."""
    verdicts = []
    for folder in folders:
        dataset = read_dataset(folder, "val", empty_ok=True)
        if dataset.pictures:
            pictures = dataset.selected(class_names).pictures
            found = list(_detect(model, pictures, Letterbox(size_px, size_px)))
            truths = [Truth.of(picture) for picture in pictures]
            metrics = evaluate(found, truths, len(class_names))
            verdicts.append(Verdict(folder.name, pictures, found, truths, metrics))
    return verdicts


@torch.inference_mode()
def _detect(
    model: YoloNASModule, pictures: Sequence[Picture], letterbox: Letterbox
) -> Iterator[Found]:
    device = next(model.parameters()).device
    for start in range(0, len(pictures), TOGETHER):
        some = pictures[start : start + TOGETHER]
        images, ways_back = zip(*(letterbox.apply(read_image(p.path)) for p in some), strict=True)
        (boxes, scores), _ = model(torch.from_numpy(np.stack(images)).to(device))
        rows = zip(boxes.cpu().numpy(), scores.cpu().numpy(), ways_back, strict=True)
        for box, score, way_back in rows:
            xyxy, kept, class_id = suppress(box, score, EVALUATION_RULE)
            yield Found(way_back.to_source(xyxy), kept, class_id)
