"""Detections, tracks and frames check themselves when they are made."""

from typing import Any

import numpy as np
import pytest

from pipeline.core.detections import Detections
from pipeline.core.frame import Frame, FrameInfo
from pipeline.core.picture import RgbPicture
from pipeline.core.tracks import Tracks

INFO: dict[str, Any] = {
    "stream_id": "cam", "epoch": 0, "seq": 0, "pts_ns": 0, "captured_ns": 0, "arrived_ns": 0,
    "clock": "file", "uncertainty_ns": 0, "width": 4, "height": 3,
}  # fmt: skip


def test_detections_know_their_number() -> None:
    two = Detections(np.zeros((2, 4), np.float32), np.ones(2, np.float32), np.zeros(2, np.int32))
    assert len(two) == 2
    assert len(Detections.empty()) == 0


@pytest.mark.parametrize(
    ("xyxy", "score", "class_id"), [((1, 4), 2, 2), ((2, 4), 2, 1), ((2, 5), 2, 2), ((8,), 2, 2)]
)
def test_detections_of_uneven_length_are_refused(
    xyxy: tuple[int, ...], score: int, class_id: int
) -> None:
    with pytest.raises(ValueError, match="do not fit together"):
        Detections(
            np.zeros(xyxy, np.float32), np.zeros(score, np.float32), np.zeros(class_id, np.int32)
        )


@pytest.mark.parametrize(
    "dtypes",
    [
        (np.float64, np.float32, np.int32),
        (np.float32, np.float64, np.int32),
        (np.float32, np.float32, np.int64),
    ],
)
def test_detections_of_other_dtypes_are_refused(dtypes: tuple[Any, Any, Any]) -> None:
    box, score, class_id = dtypes
    with pytest.raises(ValueError, match="are not float32, float32, int32"):
        Detections(np.zeros((1, 4), box), np.zeros(1, score), np.zeros(1, class_id))


def _tracks(**changed: Any) -> Tracks:
    parts: dict[str, Any] = {
        "xyxy": np.zeros((2, 4), np.float32),
        "score": np.zeros(2, np.float32),
        "class_id": np.zeros(2, np.int32),
        "track_id": np.array([1, 2]),
        "detection_index": np.array([0, 1]),
        "ended": np.empty(0, np.int64),
    }
    return Tracks(**(parts | changed))


def test_tracks_know_their_number() -> None:
    assert len(_tracks()) == 2
    assert len(_tracks(ended=np.array([7, 8, 9]))) == 2
    assert len(Tracks.empty()) == 0


@pytest.mark.parametrize("name", ["xyxy", "score", "class_id", "detection_index"])
def test_tracks_of_uneven_length_are_refused_by_name(name: str) -> None:
    shape = (3, 4) if name == "xyxy" else (3,)
    with pytest.raises(ValueError, match=rf"Tracks: {name} \(3,.*for 2 tracks"):
        _tracks(**{name: np.zeros(shape)})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"stream_id": ""}, "stream_id is empty"),
        ({"epoch": -1}, "epoch -1"),
        ({"seq": -1}, "seq -1"),
        ({"width": 0}, "size 0x3"),
        ({"height": 0}, "size 4x0"),
    ],
)
def test_impossible_frame_info_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrameInfo(**(INFO | changed))


def test_a_frame_holds_the_picture_its_info_promises() -> None:
    image = np.zeros((3, 4, 3), np.uint8)
    assert Frame(FrameInfo(**INFO), RgbPicture(image)).image is image


@pytest.mark.parametrize(
    ("shape", "dtype"), [((0, 3, 3), np.uint8), ((3, 4), np.uint8), ((3, 4, 3), np.float32)]
)
def test_an_array_that_is_no_picture_is_refused(shape: tuple[int, ...], dtype: Any) -> None:
    with pytest.raises(ValueError, match=r"image must be \(H, W, 3\) uint8, not"):
        RgbPicture(np.zeros(shape, dtype))


def test_a_frame_with_another_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="picture must be 4x3, not 3x4"):
        Frame(FrameInfo(**INFO), RgbPicture(np.zeros((4, 3, 3), np.uint8)))
