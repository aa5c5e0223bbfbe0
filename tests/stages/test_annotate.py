"""Drawing: a copy, inside the picture, where it belongs, at every size."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.arrays import U8, Bool
from pipeline.core.detections import Detections
from pipeline.core.geometry import Line
from pipeline.core.tracks import Tracks
from stages import annotate
from stages.annotate import LinePicture, Scene, colour_of
from stages.zones import LineCounter, LineTotals, ZonePicture

LABELS = ("person", "bicycle", "car")


def _tracks(*boxes: tuple[float, float, float, float], class_id: int = 2) -> Tracks:
    count = len(boxes)
    return Tracks(
        xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        score=np.full(count, 0.87, np.float32),
        class_id=np.full(count, class_id, np.int32),
        track_id=np.arange(1, count + 1),
        detection_index=np.arange(count),
        ended=np.empty(0, np.int64),
    )


def _grey(height: int = 270, width: int = 480) -> U8:
    return np.full((height, width, 3), 90, np.uint8)


def draw(
    image: U8,
    tracks: Tracks,
    labels: Sequence[str],
    lines: Sequence[LineTotals] = (),
    caption: str = "",
    detections: Detections | None = None,
    zones: Sequence[ZonePicture] = (),
) -> U8:
    pictures = [LinePicture.of(line) for line in lines]
    return annotate.draw(image, Scene(tracks, labels, pictures, zones, caption, detections))


def _touched(before: U8, after: U8) -> Bool:
    return np.asarray((before != after).any(axis=2))


def test_it_draws_on_a_copy() -> None:
    image = _grey()
    drawn = draw(image, _tracks((100, 100, 200, 200)), LABELS, caption="cam")
    assert (image == 90).all()
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert _touched(image, drawn).any()


def test_nothing_to_draw_changes_nothing() -> None:
    image = _grey()
    np.testing.assert_array_equal(draw(image, Tracks.empty(), LABELS), image)


def test_a_box_has_its_edge_in_the_class_colour_and_leaves_the_rest_alone() -> None:
    image = _grey()
    drawn = draw(image, _tracks((100, 100, 200, 200)), LABELS)
    assert drawn[200, 150].tolist() == list(colour_of(2))
    touched = _touched(image, drawn)
    assert not touched[:, :90].any()
    assert not touched[210:].any()
    assert touched[60:97, 100:150].any(), "no label above the box"


def test_the_label_of_a_box_at_the_top_edge_stays_in_the_picture() -> None:
    image = _grey()
    inside = draw(image, _tracks((100, 0, 200, 200)), LABELS)
    assert (inside[3:16, 100:160] == colour_of(2)).all(axis=2).sum() > 200


def test_a_class_without_label_is_drawn_by_its_number() -> None:
    box = (100.0, 100.0, 200.0, 200.0)
    named, bare = (draw(_grey(), _tracks(box, class_id=2), labels) for labels in (LABELS, ()))
    assert _touched(named, bare)[:100].any()


def test_a_line_shows_its_counts() -> None:
    counter = LineCounter(Line("gate", (50, 200), (400, 200)))
    empty = draw(_grey(), Tracks.empty(), LABELS, [counter])
    for time_ns, top in enumerate((100, 190)):
        counter.update(_tracks((200, top, 220, top + 50)), time_ns)
    counted = draw(_grey(), Tracks.empty(), LABELS, [counter])
    assert counter.counts == {"in": 1, "out": 0}
    assert _touched(_grey(), empty)[200, 50:400].all()
    changed = np.argwhere(_touched(empty, counted))
    assert len(changed)
    assert (changed[:, 0] < 205).all(), "more than the text changed"


def test_a_line_is_drawn_with_the_counts_of_its_moment() -> None:
    """A picture may wait for its turn while the line goes on counting."""
    counter = LineCounter(Line("gate", (50, 200), (400, 200)))
    scene = Scene(Tracks.empty(), LABELS, [LinePicture.of(counter)])
    at_once = annotate.draw(_grey(), scene)
    for time_ns, top in enumerate((100, 190)):
        counter.update(_tracks((200, top, 220, top + 50)), time_ns)
    assert counter.counts == {"in": 1, "out": 0}
    np.testing.assert_array_equal(annotate.draw(_grey(), scene), at_once)


SQUARE = np.array([(150, 100), (350, 100), (350, 220), (150, 220)], np.float64)


def test_a_zone_is_tinted_inside_and_shows_how_many_are_in_it() -> None:
    empty, one = (
        draw(_grey(), Tracks.empty(), LABELS, zones=[ZonePicture("yard", SQUARE, count, False)])
        for count in (0, 1)
    )
    touched = _touched(_grey(), empty)
    assert touched[104:216, 154:346].all()
    assert not touched[230:].any()
    changed = np.argwhere(_touched(empty, one))
    assert len(changed)
    assert (changed[:, 0] < 105).all(), "more than the text changed"


def test_a_crowded_zone_has_another_colour() -> None:
    calm, crowded = (
        draw(_grey(), Tracks.empty(), LABELS, zones=[ZonePicture("yard", SQUARE, 3, is_crowded)])
        for is_crowded in (False, True)
    )
    assert _touched(calm, crowded)[120:216, 154:346].all()


def test_the_caption_is_a_bar_at_the_top() -> None:
    touched = _touched(_grey(), draw(_grey(), Tracks.empty(), LABELS, caption="cam-1"))
    assert touched[0].all()
    assert not touched[40:].any()


def test_the_label_of_a_box_at_the_top_edge_is_below_the_caption() -> None:
    bar = draw(_grey(), Tracks.empty(), LABELS, caption="cam-1")
    drawn = draw(_grey(), _tracks((100, 0, 200, 200)), LABELS, caption="cam-1")
    chip = (drawn == colour_of(2)).all(axis=2)[:, 110:160].any(axis=1)
    assert np.argmax(chip) == _touched(_grey(), bar)[:, 0].sum()


def test_a_label_is_whole_where_a_nearer_one_is_in_its_place() -> None:
    far, near = (150.0, 104.0, 190.0, 180.0), (100.0, 100.0, 140.0, 200.0)
    both = replace(_tracks(far, near), class_id=np.array([0, 2], np.int32))
    pictures = [draw(_grey(), tracks, LABELS) for tracks in (_tracks(far, class_id=0), both)]
    chips = []
    for drawn in pictures:
        rows = np.flatnonzero((drawn[:, 200] == colour_of(0)).all(axis=1))
        chips.append(drawn[rows.min() : rows.max() + 1, 192:260])
    np.testing.assert_array_equal(chips[0], chips[1])


def test_only_detections_without_track_are_drawn_faintly() -> None:
    tracks = _tracks((100, 100, 200, 200))
    boxes = np.array([[100, 100, 200, 200], [300, 100, 400, 200]], np.float32)
    found = Detections(boxes, np.ones(2, np.float32), np.zeros(2, np.int32))
    plain, faint = (draw(_grey(), tracks, LABELS, detections=d) for d in (None, found))
    changed = _touched(plain, faint)
    assert changed[150, [300, 400]].all()
    assert not changed[:, :290].any()
    other = replace(tracks, detection_index=np.array([1]))
    assert not _touched(plain, draw(_grey(), other, LABELS, detections=found))[:, 290:].any()


@pytest.mark.parametrize("size", [(1, 1), (9, 12), (288, 352), (1080, 1920)])
def test_any_size_of_picture_is_drawn_on(size: tuple[int, int]) -> None:
    counter = LineCounter(Line("gate", (0, 0), (size[1], size[0])))
    tracks = _tracks((0, 0, size[1], size[0]))
    image = _grey(*size)
    assert draw(image, tracks, LABELS, [counter], "caption").shape == image.shape


@given(
    st.lists(st.tuples(*[st.floats(-1e6, 1e6, width=32)] * 4), max_size=4),
    st.tuples(*[st.floats(-1e6, 1e6)] * 4),
    st.integers(0, 500),
)
@settings(max_examples=30)
def test_boxes_and_lines_far_outside_do_no_harm(
    boxes: list[tuple[float, float, float, float]],
    ends: tuple[float, float, float, float],
    class_id: int,
) -> None:
    line = Line("far", (ends[0], ends[1]), (ends[2], ends[3] + 2e6))
    tracks = _tracks(*boxes, class_id=class_id)
    zone = ZonePicture("far", np.array([ends[:2], ends[2:], (0.0, 1e6)]), 0, False)
    drawn = draw(_grey(), tracks, LABELS, [LineCounter(line)], zones=[zone])
    assert drawn.shape == (270, 480, 3)


@given(st.integers(0, 10_000))
def test_every_class_has_a_bright_colour_of_its_own_kind(class_id: int) -> None:
    colour = colour_of(class_id)
    assert all(0 <= part <= 255 for part in colour)
    assert max(colour) >= 200
    assert colour_of(class_id) == colour
