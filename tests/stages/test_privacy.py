"""Who is hidden, and what fails towards hiding."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.arrays import U8
from pipeline.core.detections import Detections
from pipeline.core.frame import FrameInfo
from pipeline.core.picture import RgbPicture
from pipeline.core.tracks import Tracks
from stages.privacy import HOLD_S, MOST_BOXES, Hidden, PrivacyMask, person_classes

PERSON, CAR = 0, 1
SIZE = (320, 240)
NOISE: U8 = np.random.default_rng(7).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
STANDING = (100.0, 60.0, 150.0, 200.0)


def info(at_s: float, epoch: int = 0) -> FrameInfo:
    return FrameInfo(
        stream_id="gate", epoch=epoch, seq=0, pts_ns=round(at_s * 1e9), captured_ns=0, arrived_ns=0,
        clock="file", uncertainty_ns=0, width=SIZE[0], height=SIZE[1],
    )  # fmt: skip


def found(*boxes: Sequence[float], score: float = 0.9, class_id: int = PERSON) -> Detections:
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(count, 4),
        np.full(count, score, np.float32),
        np.full(count, class_id, np.int32),
    )


def tracked(*boxes: Sequence[float], index: int = -1) -> Tracks:
    count = len(boxes)
    ids = np.arange(1, count + 1)
    none = np.empty(0, np.int64)
    return Tracks(
        np.array(boxes, np.float32).reshape(count, 4), np.full(count, 0.5, np.float32),
        np.full(count, PERSON, np.int32), ids, np.full(count, index), none,
    )  # fmt: skip


def mask(hidden: Hidden = "persons") -> PrivacyMask:
    return PrivacyMask(hidden, [PERSON])


def covers(mask: PrivacyMask, box: Sequence[float]) -> bool:
    """Whether every pixel of the box, as far as it is in the picture, is hidden."""
    hidden = np.zeros((SIZE[1], SIZE[0]), bool)
    for left, top, right, bottom in mask.regions(*SIZE):
        hidden[top:bottom, left:right] = True
    left, top = (max(0, int(np.floor(v))) for v in box[:2])
    right, bottom = (max(0, int(np.ceil(v))) for v in box[2:])
    return bool(hidden[top:bottom, left:right].all())


@pytest.mark.parametrize("score", [0.9, 0.1, 0.01])
def test_a_person_is_hidden_whatever_the_score(score: float) -> None:
    one = mask()
    one.see(info(0), found(STANDING, score=score), Tracks.empty())
    assert covers(one, STANDING)


def test_what_is_left_of_a_person_is_a_few_cells() -> None:
    one = mask()
    one.see(info(0), found(STANDING), Tracks.empty())
    hidden = one.hide(RgbPicture(NOISE)).rgb()
    left, top, right, bottom = (int(v) for v in STANDING)
    region = hidden[top:bottom, left:right].reshape(-1, 3)
    assert len(np.unique(region, axis=0)) <= 40  # of 7000 pixels of noise
    assert not np.array_equal(hidden[top:bottom, left:right], NOISE[top:bottom, left:right])


def test_the_rest_of_the_picture_and_the_given_one_stay_as_they_are() -> None:
    one, before = mask(), NOISE.copy()
    one.see(info(0), found(STANDING), Tracks.empty())
    hidden = one.hide(RgbPicture(NOISE)).rgb()
    assert np.array_equal(NOISE, before)
    outside = np.ones(NOISE.shape[:2], bool)
    for left, top, right, bottom in one.regions(*SIZE):
        outside[top:bottom, left:right] = False
    assert np.array_equal(hidden[outside], NOISE[outside])
    assert outside.mean() > 0.7


def test_nobody_there_costs_no_copy() -> None:
    one = mask()
    one.see(info(0), found(STANDING, class_id=CAR), Tracks.empty())
    assert one.hide(RgbPicture(NOISE)).rgb() is NOISE


def test_people_are_hidden_where_they_were_however_late_the_pixels_are_asked_for() -> None:
    one = mask()
    one.see(info(0), found(STANDING), Tracks.empty())
    private = one.hide(RgbPicture(NOISE))
    at_once = one.hide(RgbPicture(NOISE)).rgb()
    one.see(info(100), Detections.empty(), Tracks.empty())  # he is gone
    assert np.array_equal(private.rgb(), at_once)
    assert private.rgb() is private.rgb()


def test_a_predicted_track_is_hidden_without_a_detection() -> None:
    one = mask()
    one.see(info(0), Detections.empty(), tracked(STANDING))
    assert covers(one, STANDING)


def test_a_person_by_vote_is_hidden_where_the_detection_is_of_another_class() -> None:
    one = mask()
    one.see(info(0), found(STANDING, class_id=CAR), tracked(STANDING, index=0))
    assert covers(one, STANDING)


def test_a_person_whose_track_votes_for_another_class_is_hidden() -> None:
    one, track = mask(), tracked(STANDING, index=0)
    car = Tracks(
        track.xyxy, track.score, np.array([CAR], np.int32), track.track_id,
        track.detection_index, track.ended,
    )  # fmt: skip
    one.see(info(0), found(STANDING), car)
    assert covers(one, STANDING)


def test_who_is_missed_is_hidden_where_he_should_be() -> None:
    """He walks 100 px a second to the right, is missed for a second, and walks on."""
    one = mask()

    def at(time_s: float) -> tuple[float, float, float, float]:
        return (20 + 100 * time_s, 60.0, 60 + 100 * time_s, 180.0)

    for frame in range(11):
        one.see(info(frame / 10), found(at(frame / 10)), Tracks.empty())
    for frame in range(11, 21):
        one.see(info(frame / 10), Detections.empty(), Tracks.empty())
        assert covers(one, at(frame / 10)), frame


def test_who_is_behind_another_stays_hidden() -> None:
    """One box stands for one person: the second is remembered although the first covers him."""
    one, near, far = mask(), (100, 60, 160, 200), (112, 60, 172, 200)
    one.see(info(0), found(near, far), Tracks.empty())
    one.see(info(0.1), found(near), Tracks.empty())
    assert covers(one, far)


def test_memory_ends() -> None:
    one = mask()
    one.see(info(0), found(STANDING), Tracks.empty())
    one.see(info(HOLD_S - 0.1), Detections.empty(), Tracks.empty())
    assert one.regions(*SIZE)
    one.see(info(HOLD_S + 0.1), Detections.empty(), Tracks.empty())
    assert one.regions(*SIZE) == []


def test_the_unsure_is_hidden_while_it_is_found_and_not_for_long_after() -> None:
    one = mask()
    for frame in range(10):
        one.see(info(frame / 10), found(STANDING, score=0.12), Tracks.empty())
        assert covers(one, STANDING)
    one.see(info(1.2), Detections.empty(), Tracks.empty())
    assert covers(one, STANDING)
    one.see(info(1.5), Detections.empty(), Tracks.empty())
    assert one.regions(*SIZE) == []


def test_who_was_sure_once_is_held_for_long_also_if_unsure_last() -> None:
    one = mask()
    for at_s, score in ((0, 0.9), (0.1, 0.12), (0.2, 0.12)):
        one.see(info(at_s), found(STANDING, score=score), Tracks.empty())
    one.see(info(1.5), Detections.empty(), Tracks.empty())
    assert covers(one, STANDING)


def test_a_new_epoch_remembers_nobody() -> None:
    one = mask()
    one.see(info(5), found(STANDING), Tracks.empty())
    one.see(info(0, epoch=1), Detections.empty(), Tracks.empty())
    assert one.regions(*SIZE) == []


def test_too_many_to_remember_hide_everything() -> None:
    one = mask()
    boxes = [(x, 0.0, x + 1.0, 2.0) for x in np.linspace(0, 300, MOST_BOXES + 10)]
    one.see(info(0), found(*boxes), Tracks.empty())
    assert one.regions(*SIZE) == [(0, 0, *SIZE)]


def test_faces_are_the_heads_of_those_who_stand() -> None:
    one = mask("faces")
    one.see(info(0), found(STANDING), Tracks.empty())
    left, top, right, bottom = STANDING
    assert covers(one, (left, top, right, top + 0.3 * (bottom - top)))
    assert not covers(one, (left, top + 0.6 * (bottom - top), right, bottom))


@pytest.mark.parametrize(
    "box", [(100, 60, 240, 160), (100, 60, 200, 170), (0, 0, 320, 240)],
    ids=["lies", "cut off by the edge", "close"],
)  # fmt: skip
def test_faces_of_those_who_do_not_stand_may_be_anywhere(box: Sequence[float]) -> None:
    one = mask("faces")
    one.see(info(0), found(box), Tracks.empty())
    assert covers(one, box)


@given(
    st.lists(
        st.tuples(*[st.floats(-500, 800) for _ in range(4)], st.floats(0, 1)), max_size=8
    )
)  # fmt: skip
def test_every_sound_box_is_hidden_in_any_picture(rows: list[tuple[float, ...]]) -> None:
    one = mask()
    boxes = [row[:4] for row in rows]
    one.see(info(0), found(*boxes), Tracks.empty())
    for box in np.array(boxes, np.float32).reshape(-1, 4).tolist():
        if box[2] > box[0] and box[3] > box[1]:
            assert covers(one, box)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_box_that_is_none_hides_nothing_and_breaks_nothing(value: float) -> None:
    one = mask()
    one.see(info(0), found((value, 0, 10, 10), STANDING), Tracks.empty())
    assert len(one.regions(*SIZE)) == 1


def test_classes_that_show_somebody() -> None:
    assert person_classes(("car", "Person", "rider", "dog")) == {1, 2}
    assert person_classes(("number",)) == frozenset()
