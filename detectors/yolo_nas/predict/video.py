"""Videos and cameras: frames in, and what `predict` returns for them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Unpack

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream

from detectors.yolo_nas.predict import show
from detectors.yolo_nas.predict.inputs import InputError, Picture, Pictures
from detectors.yolo_nas.predict.results import (
    DetectionPrediction,
    Drawing,
    ImageDetectionPrediction,
    Style,
    style_of,
)
from pipeline.core.arrays import U8

WRITTEN_SUFFIXES = (".mp4", ".mov", ".mkv")
TICKS_PER_S = 90_000
UNKNOWN_RATE_FPS = 25.0
HD_LINES = 720
UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED: the stream does not name its matrix


@dataclass(frozen=True, slots=True)
class Video:
    """A video file, or a camera of this machine.

    `fps` is its average rate; `n_frames` what its container announces, None where it does not.
    """

    name: str
    fps: float
    n_frames: int | None
    live: bool
    open: Callable[[], InputContainer]


class FramePicture(Picture):
    """A frame: its place among the decoded ones, and its time in s since the first."""

    def __init__(self, name: str, image: U8, index: int, time_s: float) -> None:
        super().__init__(name, lambda: image, in_memory=True)
        self.index = index
        self.time_s = time_s


class FrameDetectionPrediction(ImageDetectionPrediction):
    """A frame and what was found in it. `index` counts from 0, `time_s` from the first frame."""

    def __init__(
        self, frame: FramePicture, class_names: tuple[str, ...], prediction: DetectionPrediction
    ) -> None:
        super().__init__(frame, class_names, prediction)
        self.index = frame.index
        self.time_s = frame.time_s


Predict = Callable[[Pictures], Iterator[list[ImageDetectionPrediction]]]


class VideoDetectionPrediction:
    """A video and what is found in it, frame by frame as they are asked for.

    Iterating decodes the video from its start, each time anew; a batch of frames is in memory at a
    time. `fps`: average rate; `n_frames`: as announced, None where unknown. A camera has no end:
    leave the loop, or give `max_frames`.
    """

    def __init__(self, video: Video, class_names: tuple[str, ...], predict: Predict) -> None:
        self._video = video
        self._predict = predict
        self.name = video.name
        self.class_names = class_names
        self.fps = video.fps
        self.n_frames = video.n_frames

    def __iter__(self) -> Iterator[FrameDetectionPrediction]:
        """Raises `InputError` when the video is damaged, after all frames before that."""
        for batch in self._predict(Pictures(frames(self._video))):
            while batch:  # handed over one by one, so that no frame outlives its turn
                one = batch.pop(0)
                assert isinstance(one, FrameDetectionPrediction)
                yield one

    def draw(self, style: Style | None = None, **drawing: Unpack[Drawing]) -> Iterator[U8]:
        """The drawn frames, (H, W, 3) uint8 RGB, as they are asked for."""
        style = style_of(style, drawing)
        return (one.drawn(style) for one in self)

    def save(
        self,
        path: str | Path,
        style: Style | None = None,
        max_frames: int | None = None,
        **drawing: Unpack[Drawing],
    ) -> Path:
        """Write the drawn video, as H.264 in .mp4, .mov or .mkv, with its own times.

        Raises `InputError` for another suffix or a camera without `max_frames`, and OSError where
        the file cannot be written. A file that is not whole is not left behind.
        """
        style = style_of(style, drawing)
        drawn = ((one.time_s, one.drawn(style)) for one in self._first(max_frames))
        return write_video(Path(path), drawn, self.fps)

    def show(
        self,
        style: Style | None = None,
        max_frames: int | None = None,
        **drawing: Unpack[Drawing],
    ) -> Path:
        """Save the drawn video to a temporary file and open that in the system's player."""
        path = self.save(show.temporary_folder() / "video.mp4", style, max_frames, **drawing)
        show.open_in_viewer(path)
        return path

    def _first(self, max_frames: int | None) -> Iterator[FrameDetectionPrediction]:
        if self._video.live and max_frames is None:
            raise InputError(f"{self.name} has no end: give max_frames")
        for one in self:
            if max_frames is not None and one.index >= max_frames:
                return
            yield one

    def __repr__(self) -> str:
        return f"VideoDetectionPrediction({self.name!r}, {self.n_frames} frames at {self.fps:g}/s)"


def open_file(path: Path) -> Video:
    """A video file. Raises `InputError` when it is missing or holds no video."""
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise InputError(f"{path}: empty (0 bytes)")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error

    def opened() -> InputContainer:
        # "file:" keeps names like "a:b.mp4" from being taken for an address, and the whitelist
        # keeps a playlist in disguise from opening the network.
        return av.open(f"file:{path}", options={"protocol_whitelist": "file"})

    return _described(str(path), opened, live=False)


def open_camera(number: int) -> Video:
    """Camera `number` of this machine, from 0. Raises `InputError` when it cannot be opened."""
    if sys.platform == "darwin":
        file, kind = str(number), "avfoundation"
    else:
        file, kind = f"/dev/video{number}", "v4l2"
    return _described(f"camera {number}", lambda: av.open(file, format=kind), live=True)


def frames(video: Video) -> Iterator[FramePicture]:
    """Every frame, upright, in RGB. Raises `InputError` where it cannot go on."""
    with _failing_as(video.name), video.open() as container:
        stream = _stream(container, video.name)
        stream.thread_type = "AUTO"
        first_s: float | None = None
        index = -1
        for index, frame in enumerate(container.decode(stream)):
            time_s = index / video.fps if frame.pts is None else frame.time
            first_s = time_s if first_s is None else first_s
            name = f"{video.name}#{index}"
            yield FramePicture(name, _upright(frame), index, time_s - first_s)
        if index < 0:
            raise InputError(f"{video.name}: no frame can be decoded")


def write_video(path: Path, drawn: Iterable[tuple[float, U8]], fps: float) -> Path:
    """Encode pictures (H, W, 3) uint8 RGB, each with its time in s, as H.264. See
    `VideoDetectionPrediction.save`."""
    if path.suffix.lower() not in WRITTEN_SUFFIXES:
        raise InputError(f"{path}: videos are written as {', '.join(WRITTEN_SUFFIXES)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.stem}.part{path.suffix}")
    try:
        _encode(part, drawn, fps)
        return part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _encode(path: Path, drawn: Iterable[tuple[float, U8]], fps: float) -> None:
    with av.open(str(path), "w") as container:
        stream: VideoStream | None = None
        last = -1
        for time_s, image in drawn:
            height, width = image.shape[:2]
            if stream is None:
                stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
                stream.width, stream.height = width + width % 2, height + height % 2
                stream.pix_fmt = "yuv420p"
                stream.codec_context.time_base = Fraction(1, TICKS_PER_S)
                stream.options = {"preset": "veryfast", "crf": "20", "bf": "0"}
            frame = VideoFrame.from_ndarray(_even(image), format="rgb24")
            # Times that stand still or go back, as broken cameras write them, go on by one tick.
            last = max(round(time_s * TICKS_PER_S), last + 1)
            frame.pts, frame.time_base = last, Fraction(1, TICKS_PER_S)
            frame = frame.reformat(stream.width, stream.height, "yuv420p")
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode(None))


def _described(name: str, opened: Callable[[], InputContainer], *, live: bool) -> Video:
    with _failing_as(name), opened() as container:
        if container.format.name == "tty":  # FFmpeg draws text files as terminal pictures
            raise InputError(f"{name}: a text file, not a video")
        stream = _stream(container, name)
        fps = float(stream.average_rate or stream.guessed_rate or UNKNOWN_RATE_FPS)
        count = stream.frames or None
        if not live and count is None:
            if stream.duration and stream.time_base:
                count = round(stream.duration * stream.time_base * fps)
            elif container.duration:
                count = round(container.duration / av.time_base * fps)
        return Video(name, fps, count, live, opened)


def _stream(container: InputContainer, name: str) -> VideoStream:
    """The largest video stream that is not a cover picture. Raises `InputError`."""
    moving = [
        stream
        for stream in container.streams.video
        if not stream.disposition & av.stream.Disposition.attached_pic
    ]
    if not moving:
        raise InputError(f"{name}: holds no video")
    return max(moving, key=lambda stream: stream.width * stream.height)


def _upright(frame: VideoFrame) -> U8:
    """(H, W, 3) uint8 RGB, turned as the container says, in the colors that players show."""
    # Players take BT.709 for HD where the stream names no matrix; swscale would take BT.601.
    unnamed_hd = frame.colorspace == UNSPECIFIED and frame.height >= HD_LINES
    matrix = Colorspace.ITU709 if unnamed_hd else None
    image = frame.to_ndarray(format="rgb24", src_colorspace=matrix)
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4), np.uint8)


def _even(image: U8) -> U8:
    """The last row and column again where their number is odd: yuv420p halves both sides."""
    height, width = image.shape[:2]
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


@contextmanager
def _failing_as(name: str) -> Iterator[None]:
    """Failures of FFmpeg as `InputError` that names the video."""
    try:
        yield
    except av.error.FFmpegError as error:
        raise InputError(f"{name}: cannot be read as video: {error.strerror}") from error
