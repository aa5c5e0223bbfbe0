"""Unlabelled footage: video files and folders of pictures, read some time apart. No torch here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from detectors.training.data import read_image
from pipeline.core.arrays import U8
from pipeline.core.errors import ConfigError, EyrieError
from pipeline.core.picture_files import PICTURE_SUFFIXES, VIDEO_SUFFIXES

FOOTAGE_SUFFIXES = VIDEO_SUFFIXES | PICTURE_SUFFIXES
UNKNOWN_RATE_FPS = 25.0


class FootageError(EyrieError):
    """A file of footage that cannot be read, or not to its end."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture (H, W, 3) uint8 RGB of footage, `second` s after its video began.

    `scene` is the same for pictures that may follow one another: of one video, of one folder.
    """

    file: Path
    scene: Path
    second: float
    image: U8


def find_footage(locations: Sequence[Path]) -> list[Path]:
    """The videos and pictures that the locations are or, as folders, hold at any depth.

    Raises `ConfigError` when a location is not there or gives nothing.
    """
    files: list[Path] = []
    for location in locations:
        if not location.exists():
            raise ConfigError(str(location), "no such file or folder")
        inside = sorted(location.rglob("*")) if location.is_dir() else [location]
        found = [file for file in inside if file.suffix.lower() in FOOTAGE_SUFFIXES]
        if not found:
            raise ConfigError(
                str(location), f"holds no video or picture ({' '.join(sorted(FOOTAGE_SUFFIXES))})"
            )
        files += found
    return files


def shots(file: Path, every_s: float) -> Iterator[Shot]:
    """A picture, or the pictures of a video that are at least `every_s` apart, its first one first.

    Blocks while it decodes. Raises `FootageError` when the file cannot be read; of a damaged video
    after all that can be decoded.
    """
    if file.suffix.lower() in VIDEO_SUFFIXES:
        yield from _of_video(file, every_s)
        return
    try:
        yield Shot(file, file.parent, 0.0, read_image(file))
    except ValueError as error:
        raise FootageError(str(error)) from error


def _of_video(file: Path, every_s: float) -> Iterator[Shot]:
    try:
        with av.open(str(file)) as container:
            if not container.streams.video:
                raise FootageError(f"{file}: has no video")
            stream = container.streams.video[0]
            rate_fps = float(stream.average_rate or UNKNOWN_RATE_FPS)
            began: float | None = None
            due_s = 0.0
            for number, frame in enumerate(container.decode(stream)):
                time_s = number / rate_fps if frame.pts is None else frame.time
                began = time_s if began is None else began
                second = time_s - began
                if second >= due_s - 1e-6:
                    due_s = second + every_s
                    yield Shot(file, file, second, _upright(frame))
    except (av.error.FFmpegError, OSError) as error:
        raise FootageError(f"{file}: cannot be read: {error.strerror}") from error


def _upright(frame: av.VideoFrame) -> U8:
    """The pixels, turned as the camera said."""
    quarters = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), quarters))
