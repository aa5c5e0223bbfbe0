"""Clips to measure with, made on this machine: the same bytes for every case."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from pipeline.core.arrays import U8
from pipeline.core.errors import ConfigError

FPS = 25
BLOCK_PX, BLOCKS = 16, 16
"""Side and number of the squares in the upper left corner that tell a picture's number in black and
white, lowest bit first."""


def make_clip(path: Path, width: int, height: int, frames: int) -> Path:
    """A pattern that moves 3 px a picture, which an encoder cannot skip over: H.264, 25 fps, no
    B-frames. Made once; a file that is there is kept."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.mp4")
        _encode(partial, moving_pattern(width, height), (width, height), frames)
        partial.rename(path)
    return path


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a video in px. Raises `ConfigError` for what is none."""
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            return stream.width, stream.height
    except (OSError, IndexError) as error:
        raise ConfigError("--clip", f"{path} is not a video that can be read ({error})") from None


def numbered(picture: U8, number: int) -> U8:
    """The picture (H, W, 3) with its number drawn in the corner, in place."""
    bits = number >> np.arange(BLOCKS) & 1
    row = np.repeat(bits * 255, BLOCK_PX).astype(np.uint8)
    picture[:BLOCK_PX, : row.size] = row[: picture.shape[1], None]
    return picture


def moving_pattern(width: int, height: int) -> Callable[[int], U8]:
    """Picture by number: (height, width, 3) uint8 RGB, with the number in its corner."""
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 255, (-(-height // 8), -(-width // 4), 3), dtype=np.uint8)
    field = cells.repeat(8, axis=0).repeat(8, axis=1)[:height]

    def picture(number: int) -> U8:
        left = 3 * number % width
        return numbered(field[:, left : left + width].copy(), number)

    return picture


def _encode(path: Path, picture: Callable[[int], U8], size: tuple[int, int], frames: int) -> None:
    with av.open(str(path), "w") as container:
        options = {"preset": "veryfast", "bf": "0"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
