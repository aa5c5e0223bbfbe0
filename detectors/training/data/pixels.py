"""Picture files to pixels, with a memory of limited size for those already decoded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.core.arrays import U8
from pipeline.core.picture_files import Unreadable, read_picture

CACHE_BYTES = 1_500_000_000


def read_image(path: Path) -> U8:
    """The picture as (H, W, 3) uint8 RGB, turned upright as its EXIF says.

    Raises ValueError, naming the file, when it cannot be read or decoded or its end is missing.
    """
    try:
        return read_picture(path)
    except Unreadable as error:
        raise ValueError(f"{path}: not a readable picture: {error}") from error


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) after turning upright, from the file's head where Pillow is installed.

    Raises ValueError, naming the file, when it is not a readable picture.
    """
    try:
        from PIL import Image
    except ImportError:
        height, width = read_image(path).shape[:2]
        return width, height
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(0x0112, 1) >= 5  # the orientations that lie on a side
            return (image.height, image.width) if turned else image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: not a readable picture") from error


class PixelCache:
    """Decoded pictures by number. The first ones stay until `limit_bytes` are full.

    Nothing is evicted: draws are random, so one picture is as likely to be wanted as another.
    """

    def __init__(self, paths: Sequence[Path], limit_bytes: int = CACHE_BYTES) -> None:
        self._paths, self._limit_bytes = paths, limit_bytes
        self._images: dict[int, U8] = {}
        self.held_bytes = 0

    def image(self, number: int) -> U8:
        """Picture `number` as `read_image` gives it; not to be written to."""
        image = self._images.get(number)
        if image is None:
            image = read_image(self._paths[number])
            if self.held_bytes + image.nbytes <= self._limit_bytes:
                self.held_bytes += image.nbytes
                self._images[number] = image
        return image
