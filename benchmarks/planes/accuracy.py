"""Average precision on pictures that were resized by planes, and on the same pictures as RGB."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np
from av.video.reformatter import Colorspace

from benchmarks.street import LEAST_PX, LEAST_VISIBLE, SCENES, Scene
from detectors.engines.open import EngineOptions
from detectors.evaluation import EVALUATION_RULE, Found, Truth, evaluate
from detectors.training.data import read_dataset
from detectors.training.data.pixels import read_image
from detectors.yolo_nas.predict.predictor import YoloNAS
from pipeline.core.arrays import U8
from pipeline.core.picture import Picture, RgbPicture
from stages.sources.colour import BT709
from stages.sources.file import FileSource
from stages.sources.planes import YuvPicture, picture_of
from stages.sources.street import LABELS, StreetScene
from stages.sources.street.encode import write_video
from stages.sources.street.truth import Truth as StreetTruth

BATCH: Final = 8
TIMES: Final = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
"""How many times as large pictures are made that are 448 pixels wide at most."""
STREET_PX: Final = 960
"""Width of the picture that the sizes in `benchmarks.street` are meant for."""

Case = tuple[YuvPicture, Truth]


@dataclass(slots=True)
class Answers:
    """What was found in the same pictures in both ways."""

    truths: list[Truth] = field(default_factory=list)
    planes: list[Found] = field(default_factory=list)
    rgb: list[Found] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Average precision of both, and by how many points that of the planes is higher."""
        told: dict[str, Any] = {"pictures": len(self.truths)}
        both = [evaluate(found, self.truths, len(LABELS)) for found in (self.planes, self.rgb)]
        for name in ("map50", "map50_95"):
            planes, rgb = (100 * float(getattr(metrics, name)) for metrics in both)
            told[name] = {
                "planes": round(planes, 3),
                "rgb": round(rgb, 3),
                "points": round(planes - rgb, 3),
            }
        return told


def compare(model: YoloNAS, cases: Iterable[Case]) -> Answers:
    """Both ways through one network. That of RGB converts the full picture by swscale first."""
    answers, rest = Answers(), iter(cases)
    while some := list(islice(rest, BATCH)):
        planes: list[Picture] = [picture for picture, _ in some]
        whole: list[Picture] = [RgbPicture(picture.rgb()) for picture in planes]
        answers.truths += [truth for _, truth in some]
        answers.planes += _find(model, planes)
        answers.rgb += _find(model, whole)
    return answers


def _find(model: YoloNAS, pictures: Sequence[Picture]) -> Iterator[Found]:
    tensor, ways_back = model.processing.prepare_batch(pictures)
    outputs = zip(*model.network(tensor), strict=True)
    for way_back, (boxes, scores) in zip(ways_back, outputs, strict=True):
        xyxy, score, class_id = model.processing.finish(boxes, scores, EVALUATION_RULE)
        yield Found(way_back.to_source(xyxy), score, class_id)


def load(name: str) -> YoloNAS:
    """The model, on the default engine of a CPU."""
    return YoloNAS.load(name, options=EngineOptions(engine="onnxruntime"))


def as_camera(image: U8, times: float = 1.0) -> YuvPicture:
    """A picture (H, W, 3) uint8 RGB, so many times as large, as a decoder gives it: 4:2:0, BT.709
    of limited range, which is what most cameras send."""
    size = (round(times * image.shape[1]), round(times * image.shape[0]))
    large = image if times == 1 else cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(large, np.uint8), format="rgb24")
    frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
    frame.colorspace = BT709
    picture = picture_of(frame)
    assert isinstance(picture, YuvPicture)
    return picture


def street5(folder: Path, times: float, mirrored: bool, most: int | None = None) -> Iterator[Case]:
    """The validation pictures of a data set folder, so many times as large."""
    data = read_dataset(folder, "val")
    for one in data.selected(LABELS).pictures[:most]:
        image = read_image(one.path)
        xyxy = one.xyxy.copy()
        if mirrored:
            image, xyxy[:, [0, 2]] = image[:, ::-1], image.shape[1] - xyxy[:, [2, 0]]
        truth = Truth(xyxy * np.float32(times), one.class_id, one.labelled, crowd=one.crowd)
        yield as_camera(image, times), truth


def streets(
    folder: Path, size: tuple[int, int], seconds: float, fps: float, scenes: Sequence[Scene]
) -> Iterator[Case]:
    """Frames of drawn streets of that size (width, height), encoded to H.264 and decoded."""
    for scene in scenes:
        path = folder / f"{scene.name}.mp4"
        street = StreetScene(
            scene.seed, *size, fps, max(1, round(seconds * fps)),
            view=scene.view, light=scene.light,
        )  # fmt: skip
        truths = write_video(street, path)
        for frame, truth in zip(FileSource("street", path).frames(), truths, strict=True):
            assert isinstance(frame.picture, YuvPicture)
            yield frame.picture, _wanted(truth, size[0] / STREET_PX)
        path.unlink()


def _wanted(truth: StreetTruth, scale: float) -> Truth:
    longest = (truth.xyxy[:, 2:] - truth.xyxy[:, :2]).max(axis=1, initial=0)
    hidden = (longest < scale * LEAST_PX) | (truth.visibility < LEAST_VISIBLE)
    return Truth(
        truth.xyxy.astype(np.float32),
        truth.class_id.astype(np.int64),
        tuple(range(len(LABELS))),
        truth.ignore | hidden,
    )


def measure(model: str, pictures: Path | None, folder: Path, seconds: float) -> dict[str, Any]:
    """By kind of pictures: the figures of `Answers`. `pictures` is a data set with a part `val`."""
    network, told = load(model), {}
    if pictures is not None:
        told["street5 val"] = renderings(network, pictures)
    for size in ((1920, 1080), (1280, 720)):
        cases = streets(folder, size, seconds, 2.5, SCENES)
        told[f"street, H.264 {size[0]}x{size[1]}"] = compare(network, cases).figures()
    return told


def renderings(model: YoloNAS, pictures: Path, most: int | None = None) -> dict[str, Any]:
    """Each picture in several sizes, as it is and mirrored: with a few hundred pictures alone, the
    rounding of a grey level moves average precision by some tenths of a point either way, so the
    mean over renderings is told, and how far off that may be (its standard error)."""
    points: dict[str, list[float]] = {"map50": [], "map50_95": []}
    told: dict[str, Any] = {"renderings": []}
    for times in TIMES:
        for mirrored in (False, True):
            figures = compare(model, street5(pictures, times, mirrored, most)).figures()
            told["renderings"].append({"times": times, "mirrored": mirrored, **figures})
            for name, values in points.items():
                values.append(figures[name]["points"])
    for name, values in points.items():
        error = statistics.stdev(values) / math.sqrt(len(values))
        told[name] = {"points": round(statistics.mean(values), 3), "error": round(error, 3)}
    return told
