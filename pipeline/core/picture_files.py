"""Files of pictures and videos: what their names say, and pixels out of a picture's bytes."""

from collections.abc import Container
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.core.arrays import U8

PICTURE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jp2", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"}
)
VIDEO_SUFFIXES: Final = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg",
     ".flv", ".wmv", ".3gp", ".ogv", ".h264", ".264", ".h265", ".265", ".hevc", ".mjpeg", ".mjpg"}
)  # fmt: skip
"""Without .gif, which may lie among the pictures of a folder: see `is_video`."""
_JPEG, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"


class Unreadable(ValueError):
    """Why a file is no picture, as a phrase to put behind its name."""


def is_video(path: Path) -> bool:
    """True if a file that is named alone is a video by its suffix."""
    return path.suffix.lower() in VIDEO_SUFFIXES | {".gif"}


def files_in(folder: Path, suffixes: Container[str]) -> list[Path]:
    """Files directly in `folder` with one of the suffixes (in lower case, of any case on disk),
    sorted by name; hidden ones are left out. Raises OSError."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
    )


def read_picture(path: Path) -> U8:
    """Read and decode a picture, as `decode_picture`. Blocks while it reads. Raises
    `Unreadable`."""
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # a name with a 0 byte in it is a ValueError
        raise Unreadable(getattr(error, "strerror", None) or f"{error}") from error
    return decode_picture(data)


def decode_picture(data: bytes) -> U8:
    """The bytes of a picture file -> (height, width, 3) uint8 RGB, contiguous, turned upright as
    its EXIF says; grey becomes RGB, transparency goes.

    Raises `Unreadable`, also where the end is missing. A JPEG that is damaged between its ends
    counts as good, as its decoder has it.
    """
    import cv2

    if not data:
        raise Unreadable("the file is empty (0 bytes)")
    # libjpeg fills what is missing with grey and calls it a success
    if data.startswith(_JPEG) and data.rfind(_JPEG_END) < data.rfind(_JPEG_SCAN):
        raise Unreadable("its end is missing")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:  # larger than OpenCV decodes
        raise Unreadable(f"it cannot be decoded: {error.err}") from error
    if image is None:
        raise Unreadable("it is damaged, or not a picture")
    return np.ascontiguousarray(image, np.uint8)
