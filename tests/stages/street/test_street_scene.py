"""The synthetic street: same seed same pictures, and truth that agrees with the pixels."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from stages.sources.street import StreetScene, Truth
from stages.sources.street.camera import U8
from stages.sources.street.mood import Light, Weather
from stages.sources.street.painter import Painter, far_to_near
from stages.sources.street.scene import advance
from stages.sources.street.solid import Sketch
from stages.sources.street.traffic import World
from stages.sources.street.truth import MIN_VISIBILITY
from stages.sources.street.views import VIEWS, View


def small(view: View, frames: int, light: Light = "day", weather: Weather = "clear") -> StreetScene:
    return StreetScene(5, 320, 180, fps=5, frames=frames, view=view, light=light, weather=weather)


def taken(scene: StreetScene) -> tuple[list[U8], list[Truth]]:
    pictures, truths = zip(*scene.frames(), strict=True)
    return list(pictures), list(truths)


@pytest.mark.parametrize(
    ("view", "light", "weather"),
    [("street", "day", "clear"), ("pavement", "night", "rain"), ("corridor", "dusk", "clear")],
)
def test_same_seed_gives_identical_frames_and_truth(
    view: View, light: Light, weather: Weather
) -> None:
    first, second = (taken(small(view, 3, light, weather)) for _ in range(2))
    for one, other in zip(first[0], second[0], strict=True):
        np.testing.assert_array_equal(one, other)
    for a, b in zip(first[1], second[1], strict=True):
        np.testing.assert_array_equal(a.track_id, b.track_id)
        np.testing.assert_array_equal(a.xyxy, b.xyxy)
        np.testing.assert_array_equal(a.visibility, b.visibility)


def test_frames_start_again_from_the_first() -> None:
    scene = small("highway", 2)
    first, again = next(scene.frames())[0], next(scene.frames())[0]
    np.testing.assert_array_equal(first, again)
    assert not np.shares_memory(first, again)


def test_seeds_differ() -> None:
    one = next(StreetScene(1, 320, 180).frames())[0]
    other = next(StreetScene(2, 320, 180).frames())[0]
    assert np.abs(one.astype(int) - other).mean() > 5


@pytest.mark.parametrize("view", VIEWS)
def test_boxes_lie_inside_the_picture(view: View) -> None:
    for truth in small(view, 3).truths():
        assert len(truth) > 0
        assert (truth.xyxy[:, :2] >= 0).all()
        assert (truth.xyxy[:, 2:] <= (320, 180)).all()
        assert (truth.xyxy[:, 2:] > truth.xyxy[:, :2]).all()
        assert ((truth.visibility >= 0) & (truth.visibility <= 1)).all()
        assert truth.ignore[truth.visibility < MIN_VISIBILITY].all()


@pytest.mark.parametrize("view", ["junction", "pavement", "highway"])
def test_truth_without_pictures_is_the_same(view: View) -> None:
    scene = small(view, 2)
    for (_, seen), told in zip(scene.frames(), scene.truths(), strict=True):
        np.testing.assert_array_equal(seen.track_id, told.track_id)
        np.testing.assert_array_equal(seen.xyxy, told.xyxy)


@pytest.mark.parametrize("view", ["junction", "street", "overhead"])
def test_boxes_are_tight_on_what_is_painted(view: View) -> None:
    """An unhidden object's box is the extent of the pixels it owns; a hidden one's contains it."""
    scene = small(view, 1)
    world = World(scene.layout, scene.seed, scene.density, rain=False)
    advance(world, 45.0)
    painter = Painter(np.zeros((180, 320, 3), dtype=np.uint8))
    truth, seen = scene._paint(painter, scene._near_picture(world), 0)
    whole = 0
    for row, number in enumerate(seen):
        ys, xs = np.nonzero(painter.owner == number)
        if not len(xs):
            assert truth.visibility[row] == 0
            continue
        extent = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        assert (truth.xyxy[row, :2] <= extent[:2]).all()
        assert (truth.xyxy[row, 2:] >= extent[2:]).all()
        if truth.visibility[row] == 1:
            whole += 1
            assert truth.xyxy[row].tolist() == extent
    assert whole > 3


def lives(truths: Iterator[Truth]) -> dict[int, list[tuple[int, int]]]:
    """Frames and classes per track id."""
    seen: dict[int, list[tuple[int, int]]] = {}
    for truth in truths:
        assert len(set(truth.track_id.tolist())) == len(truth)
        for ident, kind in zip(truth.track_id.tolist(), truth.class_id.tolist(), strict=True):
            seen.setdefault(ident, []).append((truth.frame, kind))
    return seen


def test_ids_keep_their_class_and_motion_is_smooth() -> None:
    scene = small("highway", 25)
    for life in lives(scene.truths()).values():
        assert len({kind for _, kind in life}) == 1
    for before, now in pairwise(scene.truths()):
        shared, a, b = np.intersect1d(before.track_id, now.track_id, return_indices=True)
        inside = ((now.xyxy[b] > 1) & (now.xyxy[b] < (319, 179, 319, 179))).all(axis=1)
        step = np.abs(now.xyxy[b] - before.xyxy[a]).max(axis=1)[inside]
        assert len(shared) == 0 or (step < 120).all()


def test_every_class_appears() -> None:
    kinds: set[int] = set()
    for view in ("highway", "junction"):
        scene = StreetScene(3, 320, 180, fps=1, frames=12, view=view)
        kinds |= {int(kind) for truth in scene.truths() for kind in truth.class_id}
    assert kinds == {0, 1, 2, 3, 4}


def test_night_is_darker_than_day() -> None:
    day, night = (next(small("street", 1, light).frames())[0] for light in ("day", "night"))
    assert night.mean() < 0.75 * day.mean()


def test_nearer_is_painted_later_even_beside_a_long_thing() -> None:
    """A small thing in front of a long thing's flank, though its middle is farther away."""
    long = [(-6.0, 10.0), (6.0, 10.0), (6.0, 12.5), (-6.0, 12.5)]
    small_one = [(5.0, 9.0), (5.4, 9.0), (5.4, 9.4), (5.0, 9.4)]
    behind = [(0.0, 13.0), (0.4, 13.0), (0.4, 13.4), (0.0, 13.4)]
    order = far_to_near(np.array([long, small_one, behind]), np.array([-14.0, 0.0]))
    assert order == [2, 0, 1]


def test_visibility_is_the_part_left_by_nearer_things() -> None:
    painter = Painter(np.zeros((40, 40, 3), dtype=np.uint8))
    square = np.array([(4.5, 4.5), (24.5, 4.5), (24.5, 24.5), (4.5, 24.5)])
    far, near = Sketch(), Sketch()
    far.add(square, (255, 0, 0))
    near.add(square + np.array([10, 0]), (0, 255, 0))
    painted = painter.paint(far, 1)
    painter.paint(near, 2)
    assert painted is not None
    left = painter.visible(2)[1] / painted[1]
    assert 0.4 < left < 0.55


@pytest.mark.parametrize(
    "wrong", [{"width": 321}, {"height": 20}, {"fps": 0}, {"density": 0}, {"view": "moon"}]
)
def test_wrong_arguments_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="street scene"):
        StreetScene(1, **wrong)
