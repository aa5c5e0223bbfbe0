"""A video from a camera that jerks about, end to end: who is who survives it."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from detectors.scripted import ScriptedDetector
from pipeline import Pipeline
from pipeline.config.file import parse_config
from pipeline.core.arrays import U8
from pipeline.core.detections import Detections
from pipeline.core.messages import FrameMessage, decode
from pipeline.core.picture import Picture
from sinks.memory import MemorySink
from tests.stages.colour_model import colour_model
from tests.stages.sources.clips import encode

SIZE, FRAMES, MARGIN = (320, 180), 30, 100
PEOPLE_PX = (70, 150, 230)
HEIGHTS = (40, 46, 52)
TILES = np.random.default_rng(0).integers(90, 170, (40, 90), dtype=np.uint8)


def shift_px(index: int) -> int:
    """Where the camera looks: 40 px to one side or the other in every frame, within its margin."""
    return int(40 * (index % 3 - 1) * (-1 if index // 3 % 2 else 1))


def jerked(index: int, width: int, height: int) -> U8:
    """Three people in red who stand before a wall."""
    whole = width + 2 * MARGIN
    wall = np.asarray(cv2.resize(TILES, (whole, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    picture = np.repeat(wall[..., None], 3, axis=2)
    for x, tall in zip(PEOPLE_PX, HEIGHTS, strict=True):
        picture[60 : 60 + tall, MARGIN + x : MARGIN + x + 20] = (230, 20, 20)
    left = MARGIN + shift_px(index)
    return np.ascontiguousarray(picture[:, left : left + width])


def find_red(picture: Picture) -> Detections:
    image = picture.rgb()
    red = (image[..., 0].astype(int) - image[..., 1] > 100).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(red)
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h, area in stats[1:] if area > 400])
    count = len(boxes)
    xyxy = boxes.reshape(-1, 4).astype(np.float32)
    return Detections(xyxy, np.full(count, 0.9, np.float32), np.zeros(count, np.int32))


async def identities(folder: Path, **tracking: Any) -> set[tuple[int, int]]:
    """(place, id) of all people who were told of, by their place on the wall."""
    clip = encode(folder / "jerked.mp4", FRAMES, size=SIZE, rate=10, picture=jerked)
    streams = [{"id": "cam", "source": {"kind": "file", "path": str(clip)}}]
    config = parse_config({"streams": streams, "tracking": tracking})
    sink, detector = MemorySink(), ScriptedDetector(("person",), find_red)
    async with Pipeline(config, detector=detector, sinks=[sink]) as pipeline:
        report = await pipeline.wait()
    assert report.errors == []
    told = set()
    for outgoing in sink.messages:
        message = decode(outgoing.body)
        if isinstance(message, FrameMessage):
            for found in message.detections:
                if found.track_id is not None:
                    x = found.box[0] + shift_px(message.seq)
                    place = int(np.abs(np.array(PEOPLE_PX) - x).argmin())
                    told.add((place, found.track_id))
    return told


@pytest.mark.parametrize("method", ["flow", "ecc"])
async def test_people_keep_their_ids_while_the_camera_jerks(tmp_path: Path, method: str) -> None:
    with_motion = await identities(tmp_path, camera_motion=method)
    assert len(with_motion) == 3
    without = await identities(tmp_path)
    assert len(without) > 3


async def test_a_run_with_a_model_of_appearance(tmp_path: Path) -> None:
    model = colour_model(tmp_path / "colour.onnx")
    told = await identities(tmp_path, camera_motion="flow", appearance={"model": str(model)})
    assert len(told) == 3
