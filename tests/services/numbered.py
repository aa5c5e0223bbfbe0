"""Clips whose pictures carry their number, so that none can be missing, repeated or made up."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from detectors.scripted import ScriptedDetector
from pipeline.core.arrays import U8
from pipeline.core.detections import Detections
from pipeline.core.picture import Picture

BITS = 10
SIZE_PX = (160, 96)
FPS = 10
_DARK, _GREY, _LIGHT = 60, 128, 200


def picture(number: int, size: tuple[int, int]) -> U8:
    """`number` as a row of dark and light bars over a grey half."""
    width, height = size
    image = np.full((height, width, 3), _GREY, np.uint8)
    bars = np.array([_LIGHT if number >> bit & 1 else _DARK for bit in range(BITS)], np.uint8)
    image[: height // 2] = bars[np.arange(width) * BITS // width][None, :, None]
    return image


def number_in(image: U8) -> int | None:
    """The number of a picture; None: it is none of ours, such as a black or a damaged one."""
    height, width, _ = image.shape
    level = image.mean(axis=2)
    if abs(level[height * 5 // 8 : height * 7 // 8].mean() - _GREY) > 20:
        return None
    rows = level[height // 8 : height * 3 // 8]
    number = 0
    for bit in range(BITS):
        bar = rows[:, int((bit + 0.3) * width / BITS) : int((bit + 0.7) * width / BITS)].mean()
        if min(abs(bar - _DARK), abs(bar - _LIGHT)) > 30:
            return None
        number |= int(bar > _GREY) << bit
    return number


def read_number(picture: Picture) -> Detections:
    """A box whose left edge is the number; none for a picture that is none of ours."""
    number = number_in(picture.rgb())
    if number is None:
        return Detections.empty()
    box = np.array([[number, 0, number + 1, 1]], np.float32)
    return Detections(box, np.array([0.9], np.float32), np.zeros(1, np.int32))


READER = ScriptedDetector(("number",), read_number)
"""The detector of tests with these clips; use it with `tracking.enabled: false`."""


def make(
    path: Path,
    frames: int = 100,
    *,
    size: tuple[int, int] = SIZE_PX,
    codec: str = "libx264",
    b_frames: int = 0,
    key_every: int = 10,
    fps: int = FPS,
) -> Path:
    """An MP4 of pictures 0 to `frames` - 1."""
    if codec == "libx265":
        inner = f"bframes={b_frames}:keyint={key_every}:scenecut=0:log-level=error"
        options = {"preset": "ultrafast", "x265-params": inner}
    else:
        inner = f"bframes={b_frames}:b-adapt=0:keyint={key_every}:scenecut=0"
        options = {"preset": "ultrafast", "crf": "18", "x264-params": inner}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, size), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
