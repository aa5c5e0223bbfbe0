"""Videos through `predict`: lazy, timed, turned upright, drawn and written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detectors.letterbox import Letterbox
from detectors.yolo_nas.predict.inputs import InputError
from detectors.yolo_nas.predict.predictor import YoloNAS
from detectors.yolo_nas.predict.results import Style
from detectors.yolo_nas.predict.video import VideoDetectionPrediction, open_file, write_video
from detectors.yolo_nas.processing import Processing
from pipeline.core.arrays import F32, U8
from tests.stages.sources.clips import encode, encode_sound


class Whole:
    """A stand-in network that finds one box over its whole input."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, images: F32) -> tuple[F32, F32]:
        count, _, height, width = images.shape
        self.batches.append(count)
        boxes = np.tile(np.array([0, 0, width, height], np.float32), (count, 1, 1))
        return boxes, np.ones((count, 1, 1), np.float32)


@pytest.fixture
def network() -> Whole:
    return Whole()


@pytest.fixture
def model(network: Whole) -> YoloNAS:
    return YoloNAS(network, Processing(("all",), Letterbox(64, 64)))


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mkv", "libx264", "yuv420p"),
        ("a.webm", "libvpx", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.MOV", "libx264", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
    ],
)
def test_frames_of_every_kind_of_video(
    model: YoloNAS, tmp_path: Path, name: str, codec: str, pix_fmt: str
) -> None:
    path = encode(tmp_path / name, 9, rate=20, codec=codec, pix_fmt=pix_fmt)
    found = model.predict(path)
    assert isinstance(found, VideoDetectionPrediction)
    assert found.fps == pytest.approx(20, rel=0.05)
    assert found.n_frames in (9, None) or name == "a.webm"
    frames = list(found)
    assert [one.index for one in frames] == list(range(9))
    assert [one.time_s for one in frames] == pytest.approx([n / 20 for n in range(9)], abs=2e-3)
    assert all(one.image.shape == (48, 64, 3) for one in frames)
    assert len(list(found)) == 9


def test_only_what_is_asked_for_is_decoded(model: YoloNAS, network: Whole, tmp_path: Path) -> None:
    found = model.predict(encode(tmp_path / "a.mp4", 30), batch_size=4)
    assert network.batches == []
    first = next(iter(found))
    assert (first.index, network.batches) == (0, [4])
    assert next(found.draw()).shape == (48, 64, 3)


def test_a_video_held_sideways_stands_upright(model: YoloNAS, tmp_path: Path) -> None:
    found = model.predict(encode(tmp_path / "a.mp4", 3, turn=90))
    assert next(iter(found)).image.shape == (64, 48, 3)


def test_saving_keeps_frames_times_and_colours(model: YoloNAS, tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 12, size=(62, 46), rate=10)
    style = Style(box_thickness=6, color_mapping=[(0, 255, 0)])
    path = model.predict(str(clip)).save(tmp_path / "out" / "drawn.mp4", style)
    assert [file.name for file in path.parent.iterdir()] == ["drawn.mp4"]
    again = model.predict(path)
    assert again.fps == pytest.approx(10)
    assert [one.time_s for one in again] == pytest.approx([n / 10 for n in range(12)], abs=1e-3)
    image = next(iter(again)).image
    red, green, blue = image[40, 1].astype(int)
    assert green > red + 80
    assert green > blue + 80
    part = model.predict(clip).save(tmp_path / "part.mkv", max_frames=5)
    assert len(list(model.predict(part))) == 5


def test_uneven_times_and_odd_sizes_are_written(tmp_path: Path) -> None:
    image: U8 = np.full((31, 33, 3), 90, np.uint8)
    times = [0.0, 0.1, 0.1, 0.5]
    path = write_video(tmp_path / "odd.mp4", ((time_s, image) for time_s in times), 10)
    assert open_file(path).n_frames == 4


def test_what_cannot_be_written_leaves_nothing(model: YoloNAS, tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", 3)
    with pytest.raises(InputError, match="written as"):
        model.predict(clip).save(tmp_path / "drawn.gif")

    def failing() -> list[tuple[float, U8]]:
        raise InputError("the source broke")

    with pytest.raises(InputError, match="broke"):
        write_video(tmp_path / "broken.mp4", (pair for _ in [0] for pair in failing()), 10)
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_what_is_no_video_is_told(model: YoloNAS, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("words " * 100)
    sound = encode_sound(tmp_path / "sound.mp4")
    for path, why in (
        (tmp_path / "empty.mp4", "empty"),
        (tmp_path / "text.mp4", "video"),
        (sound, "holds no video"),
    ):
        with pytest.raises(InputError, match=rf"{path.name}.*{why}"):
            model.predict(path)
