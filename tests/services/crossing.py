"""Numbered clips in which somebody crosses a line at a known picture, and what evidence shows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from detectors.scripted import ScriptedDetector
from pipeline.core.detections import Detections
from pipeline.core.messages import LineCrossMessage, decode
from pipeline.core.picture import Picture
from sinks.base import Outgoing
from tests.services import numbered

LINE: dict[str, Any] = {"name": "door", "start": [80, 90], "end": [80, 10]}
AT = 60
"""The picture in which the walker's feet are on the line; the crossing is told a picture later."""


def walker(picture: Picture) -> Detections:
    """A person of 20 x 40 px, who walks a pixel to the right in each picture, from -20 on."""
    number = numbered.number_in(picture.rgb())
    if number is None:
        return Detections.empty()
    left = 80 - 10 + (number % 100 - AT)
    box = np.array([[left, 40, left + 20, 80]], np.float32)
    return Detections(box, np.array([0.9], np.float32), np.zeros(1, np.int32))


WALKERS = ScriptedDetector(("person",), walker)


def crossings(messages: Sequence[Outgoing]) -> list[LineCrossMessage]:
    """All that were told."""
    told = [decode(message.body) for message in messages]
    return [message for message in told if isinstance(message, LineCrossMessage)]


def numbers_of(clip: Path) -> list[int | None]:
    """What is written in the pictures of a video, in the order they are shown."""
    with av.open(str(clip)) as container:
        pictures = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    return [numbered.number_in(picture.astype(np.uint8)) for picture in pictures]


def assert_cut_from(clip: Path, source: Path) -> None:
    """Its encoded pictures are those of the source, byte for byte, in order, and none is left out;
    the source may have looped."""
    cut, whole = slices_of(clip), slices_of(source)
    start = whole.index(cut[0])
    looped = whole * (2 + len(cut) // len(whole))
    assert cut == looped[start : start + len(cut)]


def slices_of(clip: Path) -> list[bytes]:
    """The encoded pictures of an H.264 or HEVC video in decoding order, without parameter sets and
    other units, so that they are the same in every container."""
    with av.open(str(clip)) as container:
        video = container.streams.video[0]
        packets = [bytes(packet) for packet in container.demux(video) if packet.size]
        return [_slices(data, video.codec_context.name) for data in packets]


def _slices(data: bytes, codec: str) -> bytes:
    units, place = [], 0
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        unit = data[place + 4 : place + 4 + size]
        place += 4 + size
        is_slice = unit[0] & 31 in (1, 5) if codec == "h264" else unit[0] >> 1 & 63 < 32
        if is_slice:
            units.append(unit)
    return b"".join(units)
