"""Laws of zones, under random tracks with gaps, ends, new epochs and changed rules."""

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.messages import EndCause
from stages.zones import Crossing, LineRule, Rules, ZoneEvent, ZoneRule
from stages.zones.happenings import Crowd, Entered, Left, Stay
from stages.zones.rules import DirectionRule, LimitRule, OccupancyRule, StayRule, StoppedRule
from tests.stages.zones.walks import FRAME_NS, Point, Walkers

ZONES = tuple(
    ZoneRule(
        name, points,
        confirm_frames=confirm,
        dwell=StayRule(0, 2 * FRAME_NS),
        loitering=StayRule(3 * FRAME_NS),
        stopped=StoppedRule(StayRule(2 * FRAME_NS), 0.5),
        direction=DirectionRule(StayRule(0), ((0.0, 0.0), (1.0, 0.0)), 60.0, 0.2),
        occupancy=OccupancyRule(0),
        crowd=LimitRule(2, 1, FRAME_NS, 2 * FRAME_NS),
    )
    for name, confirm, points in (
        ("west", 1, ((0, 0), (200, 0), (200, 300), (0, 300))),
        ("middle", 2, ((100, 50), (300, 50), (300, 250), (200, 150), (100, 250))),
    )
)  # fmt: skip

places = st.tuples(st.floats(-20, 420, width=32), st.floats(-20, 320, width=32))
feet = st.dictionaries(st.integers(1, 4), places, max_size=4)
frames = st.lists(
    st.tuples(feet, st.sets(st.integers(1, 4), max_size=2), st.integers(1, 5)), max_size=25
)
ends = st.sampled_from(["epoch", "end_of_stream"])


Event = tuple[str, str, int, int]
"""Its kind, zone, track and start."""


def _play(
    walkers: Walkers, story: list[tuple[dict[int, Point], set[int], int]], first: int = 0
) -> None:
    """Tracks that are over never come back: their next appearance has another id."""
    lives = dict.fromkeys(range(1, 5), first)
    for where, over, frames in story:
        now = {10 * lives[who] + who: at for who, at in where.items() if who not in over}
        ended = [10 * lives[who] + who for who in over]
        walkers.step(now, ended, after_ns=frames * FRAME_NS)
        for who in over:
            lives[who] += 1


def _close(walkers: Walkers, cause: EndCause) -> None:
    walkers.told += walkers.site.close(cause)


@given(frames, ends)
def test_every_track_enters_and_leaves_a_zone_in_turns(
    story: list[tuple[dict[int, Point], set[int], int]], end: EndCause
) -> None:
    walkers = Walkers(Rules(zones=ZONES))
    _play(walkers, story)
    _close(walkers, end)
    entered: dict[tuple[str, int], Entered] = {}
    for one in walkers.told:
        match one:
            case Entered():
                assert (one.zone, one.track_id) not in entered
                entered[one.zone, one.track_id] = one
            case Left():
                begun = entered.pop((one.zone, one.track_id))
                assert one.entered_ns == begun.entered_ns <= one.exited_ns <= walkers.now_ns
    assert entered == {}


@given(frames)
def test_the_occupancy_is_who_entered_less_who_left(
    story: list[tuple[dict[int, Point], set[int], int]],
) -> None:
    walkers = Walkers(Rules(zones=ZONES))
    inside: Counter[str] = Counter()
    told: Counter[str] = Counter()
    for frame in story:
        seen = len(walkers.told)
        _play(walkers, [frame])
        for one in walkers.told[seen:]:
            match one:
                case Entered():
                    inside[one.zone] += 1
                case Left():
                    inside[one.zone] -= 1
                case Crowd(kind="occupancy"):
                    told[one.zone] = one.count
        assert told == inside
        assert [zone.count for zone in walkers.site.zones] == [inside["west"], inside["middle"]]


@settings(max_examples=200)
@given(frames, frames, ends, st.booleans())
def test_what_starts_is_updated_and_ended_once_with_a_cause(
    story: list[tuple[dict[int, Point], set[int], int]],
    more: list[tuple[dict[int, Point], set[int], int]],
    end: EndCause,
    changes: bool,
) -> None:
    walkers = Walkers(Rules(zones=ZONES))
    _play(walkers, story)
    if changes:
        walkers.told += walkers.site.change(Rules(zones=ZONES[:1]))
    else:
        _close(walkers, "epoch")
    _play(walkers, more, first=100)
    _close(walkers, end)
    assert _well_formed(walkers.told)


def _well_formed(told: list[ZoneEvent]) -> bool:
    phases: defaultdict[Event, list[str]] = defaultdict(list)
    spans: defaultdict[Event, list[int]] = defaultdict(list)
    for one in told:
        if isinstance(one, Stay | Crowd):
            who = one.track_id if isinstance(one, Stay) else 0
            key: Event = (one.kind, one.zone, who, one.started_ns)
            phases[key].append(one.phase)
            spans[key].append(one.now_ns - one.started_ns)
            assert (one.cause is not None) == (one.phase == "end")
    for event, told_phases in phases.items():
        assert (told_phases[0], told_phases[-1]) == ("start", "end")
        assert set(told_phases[1:-1]) <= {"update"}
        assert spans[event] == sorted(spans[event])
        assert spans[event][0] >= 0
    return True


@given(st.lists(places, min_size=2, max_size=12))
def test_a_film_that_runs_backwards_swaps_entering_and_leaving(way: list[Point]) -> None:
    """Where every frame counts. A crossing lies on the edge, within the frame before."""
    zone = replace(ZONES[0], confirm_frames=1, hysteresis_px=0.0)
    far = [at for at in way if abs(at[0] - 200) > 1 and abs(at[0]) > 1]
    outside: list[Point] = [(350.0, 100.0)]
    there = [(x, min(max(y, 1.0), 299.0)) for x, y in outside + far + outside]
    told = [Walkers(Rules(zones=(zone,))), Walkers(Rules(zones=(zone,)))]
    told[0].walk(there)
    told[1].walk(there[::-1])
    last_ns = (len(there) - 1) * FRAME_NS
    forwards = [(one.entered_ns, "in") for one in told[0].of(Entered)]
    forwards += [(one.exited_ns, "out") for one in told[0].of(Left)]
    backwards = [(last_ns - one.exited_ns, "in") for one in told[1].of(Left)]
    backwards += [(last_ns - one.entered_ns, "out") for one in told[1].of(Entered)]
    assert [way for _, way in sorted(forwards)] == [way for _, way in sorted(backwards)]
    np.testing.assert_allclose(
        sorted(ns for ns, _ in forwards), sorted(ns for ns, _ in backwards), atol=1000
    )


@given(
    st.lists(st.dictionaries(st.integers(1, 6), places, min_size=1), min_size=2, max_size=12),
    st.integers(0, 2**32 - 1),
)
def test_rules_and_tracks_do_not_touch_each_other(story: list[dict[int, Point]], seed: int) -> None:
    """All zones and lines together, tracks in any order, tell what each alone tells."""
    lines = (LineRule("a", ((200, 0), (200, 300))), LineRule("b", ((0, 150), (200, 150), (400, 0))))
    order = np.random.default_rng(seed)
    together = Walkers(Rules(lines, ZONES))
    alone = [Walkers(Rules((line,))) for line in lines]
    alone += [Walkers(Rules(zones=(zone,))) for zone in ZONES]
    for frame in story:
        ids = list(frame)
        together.step({ids[k]: frame[ids[k]] for k in order.permutation(len(ids)).tolist()})
        for one in alone:
            one.step(frame)

    def said(some: list[ZoneEvent]) -> list[str]:
        return sorted(map(repr, some))

    assert said(together.told) == said([told for one in alone for told in one.told])
    assert len([*together.of(Crossing)]) == sum(len([*one.of(Crossing)]) for one in alone[:2])


def test_memory_does_not_grow_with_tracks_that_come_and_go() -> None:
    walkers = Walkers(Rules((LineRule("a", ((200, 0), (200, 300))),), ZONES))
    rng = np.random.default_rng(0)
    for k in range(1500):
        at = rng.uniform((0, 0), (400, 300), (3, 2))
        walkers.step(
            {3 * k + n: (float(x), float(y)) for n, (x, y) in enumerate(at, 1)},
            ended=[3 * k - n for n in range(3)],
        )
    zones, lines = walkers.site._zones, walkers.site._lines
    assert zones._columns.capacity == lines._columns.capacity == 64
    held = (zones._presence._pending, zones._presence._streaks, lines._lines._pending)
    assert all(len(some) <= 12 for some in held)
    assert all(len(lasting._told_ns) <= 6 for lasting in zones._lasting.values())
