"""Scenes that are encoded as a camera would, and decoded again."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from io import BytesIO
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from pipeline.core.arrays import U8
from stages.base import Counts
from stages.health.finding import Change
from stages.health.watch import HealthWatch, Settings

WIDTH, HEIGHT, RATE = 160, 120, 10
SHEET_PX = 1024
Draw = Callable[[int], U8]
"""Number of the picture -> (HEIGHT, WIDTH, 3) uint8 RGB."""


@cache
def backdrop(width: int = WIDTH, seed: int = 0) -> U8:
    """A still scene: sky, houses with windows, a road with marks; (HEIGHT, width, 3)."""
    rng = np.random.default_rng(seed)
    image = np.full((HEIGHT, width, 3), (150, 170, 190), np.uint8)
    for left in range(0, width, 20):
        top = int(rng.integers(15, 45))
        colour = rng.integers(60, 170, 3).tolist()
        cv2.rectangle(image, (left, top), (left + 18, 85), colour, -1)
        for row in range(top + 4, 80, 8):
            for column in range(left + 3, left + 15, 6):
                cv2.rectangle(image, (column, row), (column + 2, row + 4), (30, 35, 45), -1)
    image[85:] = (85, 85, 88)
    for left in range(0, width, 15):
        cv2.rectangle(image, (left, 102), (left + 7, 104), (230, 230, 225), -1)
    return image


def noisy(image: U8, number: int, sigma: float = 2.0) -> U8:
    """With the noise of a sensor, new in every picture: another part of one large sheet of it."""
    top, left = np.random.default_rng(number).integers(0, SHEET_PX - WIDTH, 2)
    noise = sheet(sigma)[top : top + HEIGHT, left : left + WIDTH, None]
    return np.asarray(np.clip(image + noise, 0, 255), np.uint8)


@cache
def sheet(sigma: float) -> npt.NDArray[np.int16]:
    """Normal noise of `sigma` levels."""
    noise = np.random.default_rng(7).normal(0, sigma, (SHEET_PX, SHEET_PX))
    return np.asarray(noise.round(), np.int16)


def walker(image: U8, number: int) -> U8:
    """Somebody in a dark coat crosses the road."""
    left = number * 3 % WIDTH
    seen = image.copy()
    cv2.rectangle(seen, (left, 75), (left + 7, 100), (40, 30, 60), -1)
    return seen


def live_scene(number: int) -> U8:
    """A working camera."""
    return noisy(walker(backdrop(), number), number)


def encode(
    draw: Draw,
    pictures: int,
    *,
    codec: str = "libx264",
    step: int = 1,
    options: dict[str, str] | None = None,
) -> bytes:
    """As MPEG-TS with `RATE` pictures a second and a key frame every 2 s. `step` above 1: only one
    of so many pictures is there, at its own time."""
    file = BytesIO()
    base = {"g": str(2 * RATE // step), "bf": "0", "preset": "ultrafast", "crf": "26"}
    with av.open(file, "w", format="mpegts") as container:
        stream = container.add_stream(codec, rate=RATE, options=base | (options or {}))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(0, pictures, step):
            frame = av.VideoFrame.from_ndarray(draw(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def decode(body: bytes, counts: Counts) -> Iterator[tuple[U8, int]]:
    """(picture, media time in ns) of a clip, with what a source would count."""
    with av.open(BytesIO(body), "r") as container:
        stream = container.streams.video[0]
        counts.declared_fps = RATE
        for packet in container.demux(stream):
            counts.key_frames_total += packet.is_keyframe and packet.size > 0
            for frame in packet.decode():
                counts.decoded_total += 1
                assert frame.time is not None
                image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                yield image, round(frame.time * 1e9)


def watch(body: bytes, **settings: Any) -> list[tuple[float, Change]]:
    """What a watch tells of a clip, with seconds of media since its first picture."""
    eye = HealthWatch(Settings(**({"start_s": 4.0, "end_s": 2.0} | settings)))
    counts, told = Counts(), []
    first_ns = None
    for image, pts_ns in decode(body, counts):
        first_ns = pts_ns if first_ns is None else first_ns
        told += [
            ((pts_ns - first_ns) / 1e9, change) for change in eye.observe(image, pts_ns, counts)
        ]
    return told


def sway(number: int, width: int) -> int:
    """Where a slowly panning camera looks, from 0 to `width`, to and fro in 30 s."""
    return round(width * (0.5 - 0.5 * math.cos(number / RATE * 2 * math.pi / 30)))
