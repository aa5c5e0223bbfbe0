"""Scenes for tracking: the same truth again, cameras that move, boxes as drawn."""

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.core.boxes import iou_matrix
from stages.sources.street import Truth
from stages.sources.street.moving import CAMERAS, PLACES, MovingScene
from stages.sources.street.moving.scene import CameraMove, Place


def rows(truth: Truth) -> dict[int, list[float]]:
    return dict(zip(truth.track_id.tolist(), truth.xyxy.tolist(), strict=True))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("camera", CAMERAS)
def test_truth_is_sound_and_the_same_again(place: Place, camera: CameraMove) -> None:
    first, second = (
        list(MovingScene(4, place, camera, fps=10, frames=12, width=960, height=540).truths())
        for _ in range(2)
    )
    assert [truth.frame for truth in first] == list(range(12))
    for truth, again in zip(first, second, strict=True):
        assert rows(truth) == rows(again)
        assert len(set(truth.track_id.tolist())) == len(truth)
        assert (truth.xyxy[:, :2] < truth.xyxy[:, 2:]).all()
        assert (truth.xyxy >= 0).all()
        assert (truth.xyxy <= (960, 540, 960, 540)).all()
        assert ((truth.visibility >= 0) & (truth.visibility <= 1)).all()
    assert max(map(len, first)) >= 4


def test_a_lower_rate_shows_the_same_motion() -> None:
    fast = list(MovingScene(4, "square", "handheld", fps=30, frames=31).truths())
    slow = list(MovingScene(4, "square", "handheld", fps=10, frames=11).truths())
    for number, truth in enumerate(slow):
        same = rows(fast[3 * number])
        for ident, box in rows(truth).items():
            assert box == pytest.approx(same[ident], abs=0.5)


def test_people_stand_in_for_each_other_on_a_footway() -> None:
    seen = np.concatenate([t.visibility for t in MovingScene(4, "footway", frames=90).truths()])
    assert 0.02 < np.mean(seen < 0.25) < 0.6
    assert np.mean(seen > 0.9) > 0.3


def test_dancers_turn_sharply_and_are_of_one_height() -> None:
    troupe = MovingScene(4, "stage", fps=30, frames=300).troupe
    speed = np.diff(troupe.place, axis=0) * 30
    acceleration = np.linalg.norm(np.diff(speed, axis=0) * 30, axis=2)
    assert np.percentile(acceleration, 95) > 3
    walkers = MovingScene(4, "square", fps=30, frames=300).troupe
    assert np.std(troupe.size[:, 2]) < 0.03 < np.std(walkers.size[walkers.class_id == 0, 2])


@pytest.mark.parametrize(
    ("camera", "turns", "goes"),
    [("static", False, False), ("pan", True, False), ("handheld", True, False),
     ("walking", True, True), ("driving", True, True)],
)  # fmt: skip
def test_cameras_turn_and_go(camera: CameraMove, turns: bool, goes: bool) -> None:
    cameras = MovingScene(4, "road", camera, fps=10, frames=20).cameras
    turned = max(abs(b.yaw_deg - a.yaw_deg) for a, b in pairwise(cameras))
    assert (turned > 0.01) == turns
    assert (cameras[-1].position[1] > cameras[0].position[1] + 1) == goes


@pytest.mark.parametrize(
    ("place", "camera"), [("square", "handheld"), ("road", "driving"), ("stage", "static")]
)
def test_boxes_without_drawing_agree_with_drawn_ones(place: Place, camera: CameraMove) -> None:
    scene = MovingScene(3, place, camera, fps=5, frames=4, width=640, height=360)
    overlaps, visible = [], []
    for fast, (image, drawn) in zip(scene.truths(), scene.frames(), strict=True):
        assert image.shape == (360, 640, 3)
        assert image.dtype == np.uint8
        at = {ident: row for row, ident in enumerate(fast.track_id.tolist())}
        large = np.flatnonzero(drawn.xyxy[:, 3] - drawn.xyxy[:, 1] > 30)
        for row in [row for row in large if int(drawn.track_id[row]) in at]:
            other = at[int(drawn.track_id[row])]
            pair = fast.xyxy[other : other + 1], drawn.xyxy[row : row + 1]
            overlaps.append(float(iou_matrix(*pair)[0, 0]))
            visible.append(float(abs(fast.visibility[other] - drawn.visibility[row])))
    assert len(overlaps) > 15
    assert np.mean(overlaps) > 0.78
    assert np.mean(visible) < 0.15


def test_the_drawn_ground_moves_as_the_camera_says() -> None:
    scene = MovingScene(3, "terrace", "handheld", fps=10, frames=2, width=640, height=360, actors=1)
    (before, _), (after, _) = scene.frames()
    here = np.array([(x, y) for x in np.arange(60, 600, 60) for y in np.arange(150, 340, 40)])
    ground = scene.cameras[0].ground(here.astype(np.float64))
    there = scene.cameras[1].project(np.column_stack([ground, np.zeros(len(ground))]))
    assert np.abs(there - here).max() > 1
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (before, after)]
    start = here.astype(np.float32)[:, None]
    moved = np.zeros_like(start)
    found, ok, _ = cv2.calcOpticalFlowPyrLK(grey[0], grey[1], start, moved, winSize=(31, 31))
    error = np.linalg.norm(found[:, 0] - there, axis=1)[ok[:, 0] == 1]
    assert len(error) > 20
    assert np.median(error) < 0.3


def test_what_is_wrong_is_said() -> None:
    unknown: Any = "moon"
    with pytest.raises(ValueError, match="places: square, footway"):
        MovingScene(1, unknown)
    with pytest.raises(ValueError, match="cameras: static, pan"):
        MovingScene(1, "square", unknown)
    with pytest.raises(ValueError, match="641x360 px; give even sides"):
        MovingScene(1, width=641, height=360)
    with pytest.raises(ValueError, match=r"fps 0 is not in \(0, 60\]"):
        MovingScene(1, fps=0)
