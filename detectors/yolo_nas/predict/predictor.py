"""Prediction in one call: pictures and videos in, boxes in their own pixels out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

from detectors.engines.open import EngineOptions
from detectors.yolo_nas.postprocess import Suppression
from detectors.yolo_nas.predict import inputs, network
from detectors.yolo_nas.predict.inputs import InputError, Picture, Pictures
from detectors.yolo_nas.predict.network import Network
from detectors.yolo_nas.predict.results import (
    DetectionPrediction,
    ImageDetectionPrediction,
    ImagesDetectionPrediction,
    Style,
)
from detectors.yolo_nas.predict.video import (
    FrameDetectionPrediction,
    FramePicture,
    VideoDetectionPrediction,
    open_camera,
    open_file,
)
from detectors.yolo_nas.processing import Processing
from pipeline.core.log import get_logger
from pipeline.core.picture_files import is_video

__all__ = [
    "DetectionPrediction",
    "FrameDetectionPrediction",
    "ImageDetectionPrediction",
    "ImagesDetectionPrediction",
    "InputError",
    "Network",
    "Style",
    "VideoDetectionPrediction",
    "YoloNAS",
]

log = get_logger(__name__)

BATCH = 32

Prediction = ImageDetectionPrediction | ImagesDetectionPrediction | VideoDetectionPrediction


class Options(TypedDict, total=False):
    """The options of `YoloNAS.predict`."""

    iou: float | None
    conf: float | None
    batch_size: int
    nms_top_k: int | None
    max_predictions: int | None
    multi_label_per_box: bool | None
    class_agnostic_nms: bool | None


class YoloNAS:
    """A network with its `processing`: preparation of pictures, class names, suppression rule.

    `network` takes images (B, 3, H, W) f32, prepared by `processing`, and returns boxes (B, A, 4)
    xyxy in input pixels and scores (B, A, C).
    """

    def __init__(self, network: Network, processing: Processing) -> None:
        self.network = network
        self.processing = processing

    def __repr__(self) -> str:
        height, width = self.processing.input_size
        return f"YoloNAS({len(self.class_names)} classes, input {height}x{width})"

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names by label."""
        return self.processing.class_names

    @classmethod
    def load(
        cls,
        source: str | Path,
        *,
        accept_licence: bool = False,
        sha256: str | None = None,
        options: EngineOptions | None = None,
    ) -> YoloNAS:
        """From the name of a bundled model, an .onnx or .pth file, or the https address of one.

        `yolo_nas_n` and `yolo_nas_n_int8` are bundled; `yolo_nas_{s,m,l}_coco` are the public
        weights, fetched once where `accept_licence` accepts their licence. `sha256`, in hex, is
        compared before anything is read. Checkpoints are fused here, and need PyTorch; .onnx files
        do not. Both run on the CPU, unless `options` choose another engine for an .onnx file; with
        a precision they choose which file of a bundled model. An .onnx file whose answers to two
        test pictures are not those that it holds is run with a warning.

        Raises `EngineLoadError` when there is no such file, it is not such a model, or PyTorch is
        wanted and missing.
        """
        loaded = network.load(source, accept_licence=accept_licence, sha256=sha256, options=options)
        return cls(loaded.network, loaded.processing)

    @overload
    def predict(self, images: int, **options: Unpack[Options]) -> VideoDetectionPrediction: ...
    @overload
    def predict(
        self,
        images: list[Any] | tuple[Any, ...] | Iterator[Any] | Pictures,
        **options: Unpack[Options],
    ) -> ImagesDetectionPrediction: ...
    @overload
    def predict(self, images: Any, **options: Unpack[Options]) -> Any: ...
    def predict(
        self,
        images: Any,
        *,
        iou: float | None = None,
        conf: float | None = None,
        batch_size: int = BATCH,
        nms_top_k: int | None = None,
        max_predictions: int | None = None,
        multi_label_per_box: bool | None = None,
        class_agnostic_nms: bool | None = None,
    ) -> Prediction:
        """Detect in a picture, several, or a video.

        One picture -> `ImageDetectionPrediction`:

        - the path or the http(s) address (at most 64 MiB, 60 s) of a picture file;
        - a NumPy array of RGB, (H, W, 3) or (3, H, W) or grey (H, W): uint8, or floating point from
          0 to 1. Where both ends have length 3, the last axis is the channels;
        - a torch tensor, likewise; where both ends have length 3, the first axis is the channels;
        - a Pillow image, as its pixels lie.

        Several -> `ImagesDetectionPrediction`, lazy, in their order:

        - a folder: the pictures directly in it, by name;
        - a list, tuple, iterator or generator of any of the above, even of one;
        - a batch (B, H, W, 3) or (B, 3, H, W), array or tensor.

        A video -> `VideoDetectionPrediction`, lazy: the path of a video file, known by its suffix
        (.gif is one), or the number of a camera of this machine, from 0.

        Options that are None are as the model's `processing.rule` says; see `Suppression`.
        `batch_size` pictures go through the network together.

        Raises `InputError`, which is a ValueError, for what is none of these or cannot be read, and
        ValueError for options out of range. Lazy results raise it when its turn comes.
        """
        said = {
            "iou": iou,
            "conf": conf,
            "top_k": nms_top_k,
            "max_boxes": max_predictions,
            "multi_label": multi_label_per_box,
            "class_agnostic": class_agnostic_nms,
        }
        given: dict[str, Any] = {key: v for key, v in said.items() if v is not None}
        rule = replace(self.processing.rule, **given)
        if type(batch_size) is not int or batch_size < 1:
            raise ValueError(f"batch_size must be a whole number of at least 1, got {batch_size!r}")
        return self._answer(images, rule, batch_size)

    def _answer(self, images: Any, rule: Suppression, size: int) -> Prediction:
        if isinstance(images, PathLike):
            images = Path(images)
        if type(images) is int:
            return self._of_video(open_camera(images), rule, 1)
        if isinstance(images, (str, Path)) and not str(images).lower().startswith(inputs.ADDRESSES):
            path = Path(images)
            if path.is_dir():
                return self._of_pictures(inputs.folder(path), rule, size)
            if is_video(path):
                return self._of_video(open_file(path), rule, size)
        if inputs.is_one_picture(images):
            one = inputs.picture(images)
            one.hold()
            return self._predict_batch([one], rule)[0]
        return self._of_pictures(inputs.pictures(images), rule, size)

    def _of_pictures(
        self, found: Pictures, rule: Suppression, size: int
    ) -> ImagesDetectionPrediction:
        unreadable: list[InputError] = []
        return ImagesDetectionPrediction(self._stream(found, rule, size, unreadable), unreadable)

    def _of_video(self, video: Any, rule: Suppression, size: int) -> VideoDetectionPrediction:
        def predict(found: Pictures) -> Iterator[list[ImageDetectionPrediction]]:
            return self._stream(found, rule, size, [])

        return VideoDetectionPrediction(video, self.class_names, predict)

    def _stream(
        self, found: Pictures, rule: Suppression, size: int, unreadable: list[InputError]
    ) -> Iterator[list[ImageDetectionPrediction]]:
        """Batch after batch; pixels of a batch are let go before the next."""

        def leave_out(error: InputError) -> None:
            unreadable.append(error)
            log.warning("left out: %s", error)

        any_found = False
        for batch in inputs.batches(found, size, leave_out):
            any_found = True
            yield self._predict_batch(batch, rule)
        if unreadable and not any_found:
            raise InputError(f"none of {len(unreadable)} pictures can be read: {unreadable[0]}")

    def _predict_batch(
        self, batch: list[Picture], rule: Suppression
    ) -> list[ImageDetectionPrediction]:
        tensor, ways_back = self.processing.prepare_batch([one.image for one in batch])
        found = []
        for one, way_back, boxes, scores in zip(
            batch, ways_back, *self.network(tensor), strict=True
        ):
            xyxy, score, class_id = self.processing.finish(boxes, scores, rule)
            boxed = DetectionPrediction(way_back.to_source(xyxy), score, class_id)
            kind: Callable[..., ImageDetectionPrediction] = (
                FrameDetectionPrediction if isinstance(one, FramePicture)
                else ImageDetectionPrediction
            )  # fmt: skip
            found.append(kind(one, self.class_names, boxed))
        return found
