"""Clips made on the spot, small and with known content."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np

from pipeline.core.arrays import U8


def scene(index: int, width: int, height: int) -> U8:
    """A bright bar that moves over a coloured gradient."""
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(40, 220, width).astype(np.uint8)
    image[..., 1] = np.linspace(30, 200, height).astype(np.uint8)[:, None]
    image[..., 2] = 90
    left = index * 4 % width
    image[:, left : left + 8] = 235
    return image


class MakeClip(Protocol):
    def __call__(self, name: str, frames: int = 30, **settings: Any) -> Path: ...


def encode(
    path: Path,
    frames: int,
    *,
    size: tuple[int, int] = (64, 48),
    rate: int = 25,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    faststart: bool = False,
    shift: int = 0,
    created: str = "",
    turn: int = 0,
    picture: Callable[[int, int, int], U8] = scene,
) -> Path:
    options = {"movflags": "faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        if created:
            container.metadata["creation_time"] = created
        tuning = {"g": "10", "bf": "2", "preset": "ultrafast"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=rate, options=tuning)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        if turn:
            stream.set_display_rotation(turn)
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(index, *size), format="rgb24")
            frame.pts, frame.time_base = index + shift, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def encode_sound(path: Path) -> Path:
    """A second of silence without a picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        assert isinstance(stream, av.AudioStream)
        for index in range(8):
            samples = np.zeros((1, 1024), np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 8000, index * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
