"""What is told of zones: who enters, leaves, stays, stands still, goes the wrong way, how many."""

from dataclasses import replace
from datetime import time
from typing import Any

import numpy as np
import pytest

from stages.zones import MaskRule, Rules, Site, ZoneRule
from stages.zones.happenings import Crowd, Entered, Left, Stay, Tally
from stages.zones.rules import DirectionRule, LimitRule, OccupancyRule, StayRule, StoppedRule
from stages.zones.schedule import DAYS, Schedule
from tests.stages.zones.walks import FRAME_NS, SECOND_NS, SIZE, Point, Walkers

YARD = ZoneRule("yard", ((100, 100), (300, 100), (300, 250), (100, 250)))
IN, OUT = (200.0, 200.0), (50.0, 200.0)


def _walkers(**asked: Any) -> Walkers:
    return Walkers(Rules(zones=(replace(YARD, **asked),)))


def _stays(walkers: Walkers) -> list[tuple[str, str, float, str | None]]:
    return [
        (s.kind, s.phase, (s.now_ns - s.started_ns) / SECOND_NS, s.cause) for s in walkers.of(Stay)
    ]


# Entering and leaving


def test_who_crosses_the_edge_enters_and_leaves_where_and_when_it_did() -> None:
    walkers = _walkers()
    walkers.walk([(80, 200), (120, 200), (160, 200), (200, 200)])
    (entered,) = walkers.told
    assert entered == Entered("yard", 1, 0, (100.0, 200.0), FRAME_NS // 2, "crossed")
    walkers.walk([(280, 200), (320, 200), (360, 200)])
    (_, left) = walkers.told
    assert left == Left(
        "yard", 1, 0, (300.0, 200.0), FRAME_NS // 2, 4 * FRAME_NS + FRAME_NS // 2, "left"
    )


def test_who_is_first_seen_inside_appears_and_who_is_lost_inside_leaves() -> None:
    walkers = _walkers()
    walkers.walk([IN, IN])
    walkers.step({})
    walkers.step({}, ended=[1])
    assert walkers.told == [
        Entered("yard", 1, 0, IN, 0, "appeared"),
        Left("yard", 1, 0, IN, 0, FRAME_NS, "lost"),
    ]


def test_a_bad_box_and_trembling_on_the_edge_are_nothing() -> None:
    walkers = _walkers()
    walkers.walk([(80, 200), (130, 200), (80, 200)] * 5)
    walkers.walk([(98, 200), (103, 200), (96, 200), (104, 200)] * 5)
    assert walkers.told == []


def test_a_zone_narrower_than_the_hysteresis_can_be_entered() -> None:
    strip = ZoneRule("strip", ((100, 0), (106, 0), (106, 300), (100, 300)), hysteresis_px=50)
    walkers = Walkers(Rules(zones=(strip,)))
    walkers.walk([(90, 100), (103, 100), (103, 110), (103, 120)])
    assert [one.cause for one in walkers.of(Entered)] == ["crossed"]


def test_predicted_boxes_and_ids_that_are_none_are_nobody() -> None:
    walkers = _walkers()
    walkers.step({1: IN, -1: IN, 0: IN}, detection_index=np.array([-1, 0, 1]))
    assert walkers.told == []


def test_normalised_corners_are_shares_of_the_picture() -> None:
    zone = replace(YARD, points=((0.25, 0), (0.75, 0), (0.75, 1), (0.25, 1)), units="normalised")
    walkers = Walkers(Rules(zones=(zone,)))
    walkers.step({1: (110.0, 100), 2: (90.0, 100)})
    assert [one.track_id for one in walkers.of(Entered)] == [1]
    over = walkers.site.fit((800, 600))
    assert [(one.track_id, one.cause) for one in over if isinstance(one, Left)] == [
        (1, "reconfigured")
    ]
    walkers.step({3: (110.0, 100), 4: (300.0, 100)})
    assert [one.track_id for one in walkers.of(Entered)] == [1, 4]


def test_only_wanted_classes_enter_and_any_anchor_can_stand_for_them() -> None:
    walkers = _walkers(classes=frozenset({2}), anchor="top_centre")
    feet: dict[int, Point] = {1: (200, 145), 2: (200, 145), 3: (200, 155)}
    walkers.step(feet, class_id=np.array([0, 2, 2], np.int32))
    assert [one.track_id for one in walkers.of(Entered)] == [3]
    assert [one.point for one in walkers.of(Entered)] == [(200.0, 105.0)]


def test_passages_need_not_be_told() -> None:
    walkers = _walkers(passages=False, dwell=StayRule(0))
    walkers.walk([IN, IN])
    assert _stays(walkers) == [("dwell", "start", 0.0, None)]
    assert len(walkers.told) == 1


# What lasts


def test_dwell_starts_is_told_again_and_ends() -> None:
    walkers = _walkers(dwell=StayRule(0, 2 * SECOND_NS))
    walkers.walk([IN] * 6, after_ns=SECOND_NS)
    walkers.step({}, ended=[1])
    assert _stays(walkers) == [
        ("dwell", "start", 0.0, None),
        ("dwell", "update", 2.0, None),
        ("dwell", "update", 4.0, None),
        ("dwell", "end", 5.0, "lost"),
    ]


def test_loitering_is_told_only_of_who_stays_too_long() -> None:
    walkers = _walkers(loitering=StayRule(3 * SECOND_NS))
    walkers.walk([IN, IN, OUT, OUT], track_id=1, after_ns=SECOND_NS)
    assert _stays(walkers) == []
    walkers.walk([IN] * 5 + [OUT] * 2, track_id=2, after_ns=SECOND_NS)
    ends = _stays(walkers)
    assert ends[0] == ("loitering", "start", 3.0, None)
    assert ends[1][:2] == ("loitering", "end")
    assert ends[1][3] == "left"
    assert len(ends) == 2


def test_it_is_media_time_that_counts_however_few_frames_there_are() -> None:
    walkers = _walkers(loitering=StayRule(60 * SECOND_NS))
    walkers.step({1: IN})
    walkers.step({1: IN}, after_ns=61 * SECOND_NS)
    assert _stays(walkers) == [("loitering", "start", 61.0, None)]


def test_stopped_is_who_does_not_move_and_over_when_it_does() -> None:
    rule = StoppedRule(StayRule(2 * SECOND_NS), radius=0.25)  # of 50 px
    walkers = _walkers(stopped=rule)
    walkers.walk([(150, 200), (170, 200), (190, 200), (210, 200)], after_ns=SECOND_NS)
    walkers.walk([(214, 200), (208, 200), (212, 200)], after_ns=SECOND_NS)
    walkers.walk([(240, 200)], after_ns=SECOND_NS)
    assert _stays(walkers) == [
        ("stopped", "start", 2.0, None),
        ("stopped", "end", 4.0, "over"),
    ]


def test_the_wrong_way_is_told_until_it_is_the_right_one() -> None:
    rule = DirectionRule(StayRule(0), ((0.0, 0.0), (10.0, 0.0)), tolerance_deg=60.0, step=0.5)
    walkers = _walkers(direction=rule)
    walkers.walk([(150.0 + 10 * k, 200) for k in range(6)])  # the right way
    assert _stays(walkers) == []
    walkers.walk([(200, 200.0 - 10 * k) for k in range(1, 6)])  # upwards
    walkers.walk([(200.0 + 10 * k, 150) for k in range(1, 6)])
    start, end = walkers.of(Stay)
    assert (start.phase, end.phase, end.cause) == ("start", "end", "over")
    assert start.way is not None
    assert start.way.allowed_deg == 0
    assert start.way.heading_deg == pytest.approx(270, abs=25)


# How many


def _crowds(walkers: Walkers) -> list[tuple[str, str, int, int, str | None]]:
    return [(c.kind, c.phase, c.count, c.peak, c.cause) for c in walkers.of(Crowd)]


def test_occupancy_is_told_from_the_first_in_to_the_last_out() -> None:
    walkers = _walkers(occupancy=OccupancyRule(0))
    walkers.step({1: IN})
    walkers.step({1: IN, 2: IN})
    walkers.step({2: IN}, ended=[1])
    walkers.step({}, ended=[2])
    walkers.step({3: IN})
    assert _crowds(walkers) == [
        ("occupancy", "start", 1, 1, None),
        ("occupancy", "update", 2, 2, None),
        ("occupancy", "update", 1, 2, None),
        ("occupancy", "end", 0, 2, "over"),
        ("occupancy", "start", 1, 1, None),
    ]


def test_a_flicker_shorter_than_the_hold_changes_no_count() -> None:
    walkers = _walkers(occupancy=OccupancyRule(SECOND_NS), passages=False)
    for k in range(60):
        flicker: dict[int, Point] = {9 + k: IN} if k % 40 == 30 else {}
        walkers.step({1: IN} | flicker, ended=[8 + k])
    assert _crowds(walkers) == [("occupancy", "start", 1, 1, None)]


def test_a_count_that_never_holds_is_told_after_a_while() -> None:
    """That there is anybody at all is told as soon as that has held."""
    walkers = _walkers(occupancy=OccupancyRule(SECOND_NS), passages=False)
    for k in range(30):  # 2 and 3 in turns, from the eighth frame on 4 and 5
        others = range(2 if k < 8 else 4)
        inside: dict[int, Point] = {n + 1: IN for n in others} | ({100 + k: IN} if k % 2 else {})
        walkers.step(inside, ended=[99 + k], after_ns=SECOND_NS // 2)
    told = [(one.phase, one.count, (one.now_ns - one.started_ns) / SECOND_NS)
            for one in walkers.of(Crowd)]  # fmt: skip
    assert told == [("start", 2, 1.0), ("update", 5, 8.5)]  # from 3.5 s on it is never 2 again


def test_overcrowding_needs_the_limit_for_a_while_and_ends_below_it() -> None:
    walkers = _walkers(crowd=LimitRule(limit=2, clear=1, hold_ns=2 * SECOND_NS))
    two: dict[int, Point] = {1: IN, 2: IN}
    for feet in (two, {1: IN}, two, two, two, two | {3: IN}):
        walkers.step(feet, after_ns=SECOND_NS, ended=() if len(feet) > 1 else [2])
    for _ in range(4):
        walkers.step({1: IN}, after_ns=SECOND_NS, ended=[2, 3])
    assert _crowds(walkers) == [
        ("overcrowding", "start", 2, 2, None),
        ("overcrowding", "update", 3, 3, None),
        ("overcrowding", "end", 1, 3, "over"),
    ]


def test_counts_of_an_interval_are_told_when_the_next_one_begins() -> None:
    walkers = _walkers(interval_ns=10 * SECOND_NS)
    for k in range(12):
        walkers.step({k: IN, 100 + k: IN}, ended=[k - 1], after_ns=SECOND_NS,
                     class_id=np.array([0, 3], np.int32))  # fmt: skip
    (tally,) = walkers.of(Tally)
    assert (tally.to_ns - tally.from_ns, tally.from_ns % (10 * SECOND_NS)) == (10 * SECOND_NS, 0)
    inside = {0: (9, 8), 3: (10, 0)}  # the id 0 is no identity
    assert dict(tally.by_class) == inside
    assert tally.observed_ns == 9 * SECOND_NS
    rest = [one for one in walkers.site.close("end_of_stream") if isinstance(one, Tally)]
    assert [one.observed_ns for one in rest] == [2 * SECOND_NS]


# When, and when no longer


def test_outside_of_its_hours_a_zone_tells_nothing_and_ends_what_is_open() -> None:
    hours = Schedule(frozenset(DAYS), ((time(0), time(0, 1)), (time(0, 2), None)))
    walkers = _walkers(schedule=hours, dwell=StayRule(0))
    for _ in range(14):
        walkers.step({1: IN}, after_ns=10 * SECOND_NS)
    assert [(one.cause, one.exited_ns) for one in walkers.of(Left)] == [
        ("schedule", 60 * SECOND_NS - FRAME_NS)
    ]
    assert [one.cause for one in walkers.of(Entered)] == ["appeared", "appeared"]
    assert [(s.phase, s.cause) for s in walkers.of(Stay)] == [
        ("start", None), ("end", "schedule"), ("start", None),
    ]  # fmt: skip


def test_the_end_of_an_epoch_ends_everything_and_the_next_begins_anew() -> None:
    walkers = _walkers(dwell=StayRule(0), occupancy=OccupancyRule(0), crowd=LimitRule(1, 0, 0))
    walkers.walk([IN, IN])
    over = walkers.site.close("epoch")
    assert [type(one).__name__ for one in over] == ["Left", "Stay", "Crowd", "Crowd"]
    assert {getattr(one, "cause", None) for one in over} == {"epoch"}
    assert walkers.site.close("end_of_stream") == []
    walkers.now_ns = -FRAME_NS  # its media time begins anew
    assert [type(one).__name__ for one in walkers.step({1: IN})] == [
        "Entered", "Stay", "Crowd", "Crowd",
    ]  # fmt: skip


def test_a_change_of_one_kind_leaves_the_others_alone() -> None:
    walkers = Walkers(Rules(zones=(YARD,)))
    walkers.walk([IN, IN])
    mask = MaskRule("sky", ((0, 0), (400, 0), (400, 50), (0, 50)))
    assert walkers.site.change(Rules(zones=(YARD,), masks=(mask,))) == []
    smaller = replace(YARD, name="corner")
    (left,) = walkers.site.change(Rules(zones=(smaller,)))
    assert isinstance(left, Left)
    assert (left.zone, left.cause) == ("yard", "reconfigured")
    assert [one.zone for one in walkers.step({1: IN}) if isinstance(one, Entered)] == ["corner"]


def test_points_outside_of_the_picture_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    site = Site(Rules(zones=(replace(YARD, points=((10, 10), (500, 10), (10, 200))),)))
    site.fit(SIZE)
    assert "zone 'yard': the point [500, 10] is outside of the picture" in caplog.text
