"""What is measured: families of scenes, each with its detector and frame rate."""

from dataclasses import dataclass, field

import numpy as np

from benchmarks.tracking_quality.noise import (
    FINE,
    POOR,
    YOLO_NAS_LIKE,
    YOLOX_LIKE,
    DetectorNoise,
    NoisyDetector,
)
from pipeline.core.detections import Detections
from stages.sources.street.camera import Camera
from stages.sources.street.layout import CAR, PERSON
from stages.sources.street.moving import MovingScene
from stages.sources.street.moving.scene import CameraMove, Place
from stages.sources.street.truth import Truth


@dataclass(frozen=True, slots=True)
class Take:
    """One scene with its detector. `seed` is of both."""

    place: Place
    camera: CameraMove
    noise: DetectorNoise
    seed: int
    fps: float = 30.0
    seconds: float = 16.0
    size: tuple[int, int] = (1920, 1080)


@dataclass(frozen=True, slots=True)
class Family:
    """Takes that are judged together, once for each of `classes`. True boxes lower than
    `least_px`, or less visible than `least_visible`, are distractors: neither missed nor false."""

    name: str
    takes: tuple[Take, ...]
    classes: tuple[int, ...] = (PERSON,)
    least_px: float = 0.0
    least_visible: float = 0.0


@dataclass(frozen=True, slots=True)
class Recording:
    """A take, done: what is true and what was detected in every frame, and the cameras."""

    take: Take
    truths: list[Truth] = field(repr=False)
    found: list[Detections] = field(repr=False)
    cameras: list[Camera] = field(repr=False)

    @property
    def times_s(self) -> list[float]:
        """Media time of every frame."""
        return [frame / self.take.fps for frame in range(len(self.truths))]


def record(take: Take) -> Recording:
    """Do a take: about 600 frames a second. The same take gives the same recording."""
    width, height = take.size
    frames = max(2, round(take.seconds * take.fps))
    scene = MovingScene(take.seed, take.place, take.camera, take.fps, frames, width, height)
    detector = NoisyDetector(
        take.noise, take.seed, take.fps, take.size, len(scene.troupe.class_id) + 1
    )
    truths = list(scene.truths())
    found = [
        detector.detect(truth, camera)
        for truth, camera in zip(truths, scene.cameras, strict=True)
    ]  # fmt: skip
    return Recording(take, truths, found, list(scene.cameras))


def _walk(fps: float, base: int, noise: DetectorNoise) -> tuple[Take, ...]:
    return (
        Take("square", "static", noise, base + 1, fps),
        Take("square", "static", noise, base + 2, fps),
        Take("footway", "static", noise, base + 3, fps),
        Take("terrace", "static", noise, base + 4, fps),
    )


def _moving(fps: float, base: int, noise: DetectorNoise) -> tuple[Take, ...]:
    return (
        Take("square", "handheld", noise, base + 1, fps),
        Take("square", "walking", noise, base + 2, fps),
        Take("footway", "walking", noise, base + 3, fps),
        Take("terrace", "pan", noise, base + 4, fps),
    )


def _dance() -> tuple[Take, ...]:
    return (
        Take("stage", "static", YOLOX_LIKE, 301, 20.0, 20.0),
        Take("stage", "static", YOLOX_LIKE, 302, 20.0, 20.0),
        Take("stage", "handheld", YOLOX_LIKE, 303, 20.0, 20.0),
        Take("stage", "static", YOLO_NAS_LIKE, 304, 20.0, 20.0),
        Take("stage", "static", YOLOX_LIKE, 305, 20.0, 20.0),
        Take("stage", "static", YOLOX_LIKE, 306, 20.0, 20.0),
    )


def _drive() -> tuple[Take, ...]:
    wide = (1240, 376)
    return (
        Take("road", "driving", FINE, 401, 10.0, 24.0, wide),
        Take("road", "driving", YOLO_NAS_LIKE, 402, 10.0, 24.0, wide),
        Take("road", "driving", FINE, 403, 10.0, 24.0, wide),
        Take("road", "static", FINE, 404, 10.0, 24.0, wide),
    )


def _poor() -> tuple[Take, ...]:
    small = (960, 540)
    return (
        Take("square", "static", POOR, 501, 7.0, 20.0, small),
        Take("footway", "handheld", POOR, 502, 15.0, 16.0, small),
        Take("terrace", "static", POOR, 503, 12.5, 20.0, small),
        Take("square", "walking", POOR, 504, 25.0, 12.0, small),
        Take("footway", "static", YOLO_NAS_LIKE, 505, 30.0, 12.0, small),
        Take("square", "static", YOLO_NAS_LIKE, 506, 10.0, 20.0, small),
    )


FAMILIES = (
    Family("crowd", _walk(30.0, 100, YOLOX_LIKE)),
    Family("moving camera", _moving(30.0, 200, YOLOX_LIKE)),
    Family("every third", _walk(10.0, 100, YOLOX_LIKE) + _moving(10.0, 200, YOLOX_LIKE)),
    Family("dance", _dance()),
    Family("drive", _drive(), (CAR, PERSON), 25.0, 0.1),
    Family("poor", _poor()),
)
CLASS_NAMES = {CAR: "car", PERSON: "person"}


def rows_of(family: Family) -> list[tuple[str, int]]:
    """Name and class of every row that a family gives in the table."""
    if len(family.classes) == 1:
        return [(family.name, family.classes[0])]
    return [(f"{family.name} {CLASS_NAMES[kind]}", kind) for kind in family.classes]


def judged(family: Family, truth: Truth) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """(N,) whether true boxes count."""
    height = truth.xyxy[:, 3] - truth.xyxy[:, 1]
    return (height >= family.least_px) & (truth.visibility >= family.least_visible)
