"""What the tracker is told of the pixels, and what it makes of it."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from detectors.engines.onnxruntime import OnnxRuntimeEngine
from pipeline.core.arrays import F32, U8, AnyArray
from pipeline.core.detections import Detections
from pipeline.core.errors import EngineRunError
from pipeline.core.frame import Frame, FrameInfo
from pipeline.core.picture import RgbPicture
from stages.appearance import CropInput, Embedder
from stages.camera_motion import CameraMotion
from stages.look import PixelLooker
from stages.tracking import Tracker
from tests.stages.colour_model import colour_model

WIDTH, HEIGHT, FPS = 320, 180, 10
RED, BLUE = (220, 40, 40), (40, 40, 220)


def colours(folder: Path) -> Embedder:
    engine = OnnxRuntimeEngine(colour_model(folder / "colour.onnx"), threads=1)
    return Embedder(engine, CropInput((0.5, 0.5, 0.5), (1, 1, 1)))


def frame(image: U8, seq: int, epoch: int = 0) -> Frame:
    height, width, _ = image.shape
    info = FrameInfo(
        stream_id="cam", epoch=epoch, seq=seq, pts_ns=seq * 10**9 // FPS, captured_ns=0,
        arrived_ns=0, clock="arrival", uncertainty_ns=0, width=width, height=height,
    )  # fmt: skip
    return Frame(info, RgbPicture(image))


def found(*boxes: tuple[float, float, float, float], scores: F32 | None = None) -> Detections:
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    score = np.full(len(xyxy), 0.9, np.float32) if scores is None else scores
    return Detections(xyxy, score, np.zeros(len(xyxy), np.int32))


def ground(shift_px: int = 0) -> U8:
    rng = np.random.default_rng(0)
    tiles = rng.integers(60, 200, (HEIGHT // 6, 120, 3), dtype=np.uint8)
    wide = cv2.resize(tiles, (720, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(np.asarray(wide, np.uint8)[:, shift_px : shift_px + WIDTH])


def test_nothing_is_looked_at_that_nobody_asked_for(tmp_path: Path) -> None:
    seen = PixelLooker().look(frame(ground(), 0), found((0, 0, 20, 40)))
    assert seen.camera_motion is None
    assert seen.features is None
    looker = PixelLooker(embedder=colours(tmp_path))
    assert looker.look(frame(ground(), 0), found((0, 0, 20, 40))).camera_motion is None


def test_camera_motion_is_from_frame_to_frame_and_unknown_at_a_new_epoch() -> None:
    looker = PixelLooker(CameraMotion())
    assert looker.look(frame(ground(), 0), found()).camera_motion is None
    moved = looker.look(frame(ground(5), 1), found()).camera_motion
    assert moved is not None
    np.testing.assert_allclose(moved, [[1, 0, -5], [0, 1, 0]], atol=0.05)
    assert looker.look(frame(ground(9), 2, epoch=1), found()).camera_motion is None
    assert looker.look(frame(ground(9), 3, epoch=1), found()).camera_motion is not None


def test_only_the_best_detections_are_embedded(tmp_path: Path) -> None:
    scores = np.array([0.05, 0.2, 0.9, 0.5, 0.3], np.float32)
    boxes = [(20.0 * place, 0.0, 20.0 * place + 20, 50.0) for place in range(5)]
    looker = PixelLooker(embedder=colours(tmp_path), least_score=0.1, most=3)
    features = looker.look(frame(ground(), 0), found(*boxes, scores=scores)).features
    assert features is not None
    assert features.shape == (5, 3)
    assert np.isfinite(features).all(axis=1).tolist() == [False, False, True, True, True]
    empty = looker.look(frame(ground(), 1), found()).features
    assert empty is not None
    assert empty.shape == (0, 3)


class _Broken:
    """An engine that fails from its second run on, as one does whose memory is gone."""

    def __init__(self, engine: OnnxRuntimeEngine) -> None:
        self._engine, self._runs = engine, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def run(self, *tensors: AnyArray) -> tuple[AnyArray, ...]:
        self._runs += 1
        if self._runs > 1:
            raise EngineRunError("colour.onnx: out of memory")
        return self._engine.run(*tensors)


def test_a_model_that_fails_is_told_once_and_the_stream_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine: Any = _Broken(OnnxRuntimeEngine(colour_model(tmp_path / "colour.onnx"), threads=1))
    looker = PixelLooker(embedder=Embedder(engine))
    for seq in range(3):
        assert looker.look(frame(ground(), seq), found((0, 0, 20, 40))).features is None
    assert looker.failed_total == 3
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "out of memory" in caplog.text


MEET, PART, FRAMES = 12, 18, 30


def meeting(seq: int, *, turn_back: bool) -> tuple[U8, Detections]:
    """Red comes from the left, blue from the right; for a while only the one in front is seen;
    then one leaves to each side. The boxes are the same whether they turn back or walk on."""
    reach = seq if seq < MEET else MEET if seq < PART else MEET - (seq - PART)
    left, right = 20 + 8 * reach, 270 - 8 * reach
    image = np.full((HEIGHT, WIDTH, 3), 110, np.uint8)
    swapped = seq >= PART and not turn_back
    for x, colour in zip((left, right), (BLUE, RED) if swapped else (RED, BLUE), strict=True):
        image[60:150, x : x + 30] = colour
    boxes = [(float(x), 60.0, float(x + 30), 150.0) for x in (left, right)]
    return image, found(*(boxes[1:] if MEET <= seq < PART else boxes))


def ids_from_left_to_right(embedder: Embedder | None, *, turn_back: bool) -> list[list[int]]:
    """Before they meet, and after."""
    looker, tracker, ids = PixelLooker(embedder=embedder), Tracker(), []
    for seq in range(FRAMES):
        image, detections = meeting(seq, turn_back=turn_back)
        seen = looker.look(frame(image, seq), detections)
        tracks = tracker.update(
            detections.xyxy, detections.score, detections.class_id, seq / FPS,
            camera_motion=seen.camera_motion, features=seen.features,
        )  # fmt: skip
        ids.append(tracks.track_id[np.argsort(tracks.xyxy[:, 0])].tolist())
    return [ids[5], ids[FRAMES - 3]]


def test_people_of_different_colour_keep_their_ids_where_motion_alone_swaps_them(
    tmp_path: Path,
) -> None:
    by_motion = [ids_from_left_to_right(None, turn_back=back) for back in (True, False)]
    assert by_motion[0] == by_motion[1]  # and so one of the two is wrong
    embedder = colours(tmp_path)
    before, after = ids_from_left_to_right(embedder, turn_back=True)
    assert after == before
    before, after = ids_from_left_to_right(embedder, turn_back=False)
    assert after == before[::-1]
