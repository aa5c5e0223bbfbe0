"""The short form of `python -m benchmarks.planes`: a drawn street, by planes and as RGB."""

from pathlib import Path

import numpy as np

from benchmarks.planes import accuracy
from benchmarks.street import SCENES
from stages.sources.planes import YuvPicture


def test_a_network_finds_by_planes_what_it_finds_in_rgb(tmp_path: Path) -> None:
    model = accuracy.load("yolo_nas_n_int8")
    cases = list(accuracy.streets(tmp_path, (960, 540), 4.0, 2.0, [SCENES[0]]))
    figures = accuracy.compare(model, cases).figures()
    assert figures["pictures"] == 8
    assert figures["map50"]["rgb"] > 30
    assert abs(figures["map50"]["points"]) < 2
    assert abs(figures["map50_95"]["points"]) < 2
    # The benchmark can fail: planes of another picture are not what RGB shows.
    dark = [(halved(picture), truth) for picture, truth in cases]
    assert accuracy.compare(model, dark).figures()["map50"]["points"] < -10


def halved(picture: YuvPicture) -> YuvPicture:
    """Its planes are of the upper half, its RGB is not."""
    rows, _ = picture.planes[0].shape
    planes = tuple(np.repeat(plane[: len(plane) // 2], 2, axis=0) for plane in picture.planes)
    assert len(planes[0]) == rows
    return YuvPicture(planes, picture.colour, frame=picture._frame)
