"""What it gains that the network takes the shape of the pictures, for no more pixels.

    python -m benchmarks.input_shape --data $EYRIE_DATA/street5 [--model NAME]
        [--small 352x288 ...] [--json FILE]

Average precision on labelled pictures with every picture padded to the file's shape, and with
shapes followed; the pixels of the networks' inputs; and the engine's time for a 16:9 picture, both
forms in turn. Then the same with the pictures made smaller, to the pixels of such cameras.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.machine import describe
from detectors.engines.open import EngineOptions, open_engine
from detectors.evaluation import EVALUATION_RULE, Found, Truth, evaluate
from detectors.training.data import read_dataset
from detectors.yolo_nas.by_shape import Networks
from detectors.yolo_nas.detector import Description, resolve
from pipeline.core.arrays import U8

RULE = replace(EVALUATION_RULE, conf=0.01, iou=0.65)
OPTIONS = EngineOptions(engine="onnxruntime", threads=1, integer_input=True)
ROUNDS = 40


class Subject:
    """A model in one of the two forms."""

    def __init__(self, path: Path, follow: bool) -> None:
        engine = open_engine(path, OPTIONS)
        self.processing = Description.read(engine.metadata, path.name).processing
        self.networks = Networks(
            engine,
            self.processing,
            (lambda size: open_engine(path, replace(OPTIONS, size=size))) if follow else None,
        )

    def find(self, original: U8, most_pixels: float = np.inf) -> tuple[Found, int]:
        """What it finds in the picture, made smaller first where it has more pixels, and how many
        pixels the network's input has."""
        image = shrunk(original, most_pixels)
        ((network, _),) = self.networks.groups([image])
        (boxes, scores), (transform,) = network.run([image])
        xyxy, score, class_id = self.processing.finish(boxes[0], scores[0], RULE)
        (tall, wide), (height, width) = original.shape[:2], image.shape[:2]
        boxes_px = transform.to_source(xyxy) * np.array([wide / width, tall / height] * 2)
        inside = boxes_px.clip(0, [wide, tall, wide, tall]).astype(np.float32)
        box = self.networks.letterbox.of(height, width)
        return Found(inside, score, class_id), box.height * box.width


def shrunk(image: U8, most_pixels: float) -> U8:
    """With its shape, and no more pixels than that."""
    height, width = image.shape[:2]
    scale = min(1.0, (most_pixels / (height * width)) ** 0.5)
    if scale == 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def accuracy(
    subject: Subject, images: Sequence[U8], truths: Sequence[Truth], most_pixels: float = np.inf
) -> dict[str, Any]:
    """AP50, AP, AP50 by class, and the mean of pixels."""
    found, pixels = zip(*(subject.find(image, most_pixels) for image in images), strict=True)
    metrics = evaluate(found, truths, len(subject.processing.class_names))
    named = metrics.named(subject.processing.class_names)
    return {"pixels": round(float(np.mean(pixels))), **named}


def times_ms(subjects: dict[str, Subject]) -> dict[str, float]:
    """Median time of one 16:9 picture, prepared and run, in turn."""
    picture = np.zeros((1080, 1920, 3), np.uint8)
    taken: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(ROUNDS):
        for name, subject in subjects.items():
            began_s = time.perf_counter()
            subject.find(picture)
            taken[name].append(1000 * (time.perf_counter() - began_s))
    return {name: round(float(np.median(values)), 2) for name, values in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare padding with following.")
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="yolo_nas_n_int8")
    parser.add_argument("--small", nargs="*", default=["352x288", "176x144"], metavar="WxH")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    path = resolve(arguments.model)
    subjects = {"file": Subject(path, follow=False), "follow": Subject(path, follow=True)}
    data = read_dataset(arguments.data, "val").selected(subjects["file"].processing.class_names)
    images = [
        np.ascontiguousarray(np.asarray(cv2.imread(str(one.path)))[..., ::-1], np.uint8)
        for one in data.pictures
    ]
    truths = [Truth.of(one) for one in data.pictures]
    result: dict[str, Any] = {
        "machine": describe(),
        "model": arguments.model,
        "pictures": len(images),
        "time_16_9_ms": times_ms(subjects),
    }
    for name, subject in subjects.items():
        result[name] = accuracy(subject, images, truths)
        for size in arguments.small:
            width, height = map(int, size.split("x"))
            small = accuracy(subject, images, truths, width * height)
            result.setdefault(f"made {size}", {})[name] = small
    text = json.dumps(result, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
