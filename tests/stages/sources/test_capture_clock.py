"""Capture times of a camera: by its reports, by arrival, over jumps of any of the three clocks."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.clock import SECOND_NS, Moment
from stages.sources.capture_clock import Capture, CaptureClock

WALL_NS = 1_700_000_000 * SECOND_NS
HOUR_NS = 3600 * SECOND_NS
PERIOD_NS = 40_000_000
DELAY_NS = 60_000_000


class Camera:
    """A camera and a machine of which each has a wall clock of its own; true time starts at 0."""

    def __init__(self, backlog: int = 0) -> None:
        self.true_ns = 0
        self.camera_off_ns = 0
        self.ours_off_ns = 0
        self.stamp_off_ns = 0
        self.report_off_ns: int | None = None
        self.read_ns = 0
        self.clock = CaptureClock(self.now())
        self.read_ns = backlog * PERIOD_NS
        self.errors: list[int] = []

    def now(self) -> Moment:
        steady_ns = max(self.true_ns, self.read_ns)
        return Moment(steady_ns + 77, WALL_NS + steady_ns + self.ours_off_ns)

    def report(self) -> None:
        """From now on, packets carry what this one says."""
        self.report_off_ns = WALL_NS + self.camera_off_ns - self.stamp_off_ns

    def picture(self, delay_ns: int = DELAY_NS) -> Capture:
        """The next picture; its error is by our clock."""
        stamp_ns, taken_ns = self.true_ns + self.stamp_off_ns, WALL_NS + self.true_ns
        if self.report_off_ns is not None:
            self.clock.report(stamp_ns, stamp_ns + self.report_off_ns)
        self.true_ns += delay_ns
        self.read_ns += 1_000_000
        capture = self.clock.capture(stamp_ns, self.now())
        self.true_ns += PERIOD_NS - delay_ns
        self.errors.append(capture.utc_ns - taken_ns - self.ours_off_ns)
        return capture

    def play(self, count: int, delay_ns: int = DELAY_NS) -> list[Capture]:
        return [self.picture(delay_ns) for _ in range(count)]


def test_before_a_report_it_is_the_arrival_less_a_delay() -> None:
    camera = Camera()
    captures = camera.play(100)
    assert {capture.clock for capture in captures} == {"arrival"}
    assert all(abs(e) <= c.uncertainty_ns for e, c in zip(camera.errors, captures, strict=True))
    assert abs(camera.errors[-1]) < 100_000_000
    assert camera.clock.offset_ns is None


def test_pictures_that_waited_to_be_read_are_as_uncertain_as_they_waited() -> None:
    camera = Camera(backlog=60)
    captures = camera.play(300)
    assert captures[0].uncertainty_ns > SECOND_NS
    assert all(abs(e) <= c.uncertainty_ns for e, c in zip(camera.errors, captures, strict=True))
    assert abs(camera.errors[-1]) < 100_000_000
    assert captures[-1].uncertainty_ns == SECOND_NS // 2


def test_a_picture_without_a_time_is_taken_by_its_arrival() -> None:
    camera = Camera()
    camera.report()
    camera.play(10)
    now = camera.now()
    capture = camera.clock.capture(None, now)
    assert capture.clock == "arrival"
    assert 0 < now.utc_ns - capture.utc_ns < capture.uncertainty_ns


def test_a_report_gives_the_cameras_time_to_every_later_picture() -> None:
    camera = Camera()
    camera.play(5)
    camera.report()
    captures = camera.play(50)
    assert [capture.clock for capture in captures] == ["arrival"] + ["rtcp"] * 49
    assert camera.errors[6:] == [0] * 49
    assert captures[-1].uncertainty_ns == DELAY_NS
    assert camera.clock.offset_ns == -DELAY_NS


@given(st.lists(st.integers(0, 900_000_000), min_size=50, max_size=50))
def test_delays_that_vary_do_not_show(delays: list[int]) -> None:
    camera = Camera()
    captures = [camera.picture(20_000_000 + delay) for delay in delays]
    for before, after in pairwise(captures):
        step_ns = after.utc_ns - before.utc_ns
        assert PERIOD_NS // 2 <= step_ns <= PERIOD_NS * 3 // 2


@given(st.lists(st.integers(-60_000_000, 60_000_000), min_size=8, max_size=8))
def test_reports_that_jitter_never_turn_time_back(jitter: list[int]) -> None:
    camera = Camera()
    captures = []
    for off_ns in jitter:
        camera.camera_off_ns = off_ns
        camera.report()
        captures += camera.play(100)
    told = [capture.utc_ns for capture in captures if capture.clock == "rtcp"]
    assert all(before < after for before, after in pairwise(told))


@pytest.mark.parametrize("off_ns", [-20 * SECOND_NS, 20 * SECOND_NS])
def test_the_offset_of_a_cameras_clock_is_measured(off_ns: int) -> None:
    camera = Camera(backlog=30)
    camera.camera_off_ns = off_ns
    camera.report()
    assert camera.picture().clock == "arrival"
    assert camera.clock.offset_ns is None
    captures = camera.play(60)
    assert camera.clock.offset_ns == off_ns - DELAY_NS
    assert camera.errors[-1] == off_ns
    assert captures[-1].uncertainty_ns == abs(off_ns - DELAY_NS)


@pytest.mark.parametrize("off_ns", [-2 * HOUR_NS, 2 * HOUR_NS, -WALL_NS])
def test_a_camera_whose_clock_is_unset_is_not_believed(off_ns: int) -> None:
    camera = Camera()
    camera.camera_off_ns = off_ns
    camera.report()
    captures = camera.play(20)
    assert {capture.clock for capture in captures} == {"arrival"}
    assert camera.clock.offset_ns == off_ns - DELAY_NS


@pytest.mark.parametrize("step_ns", [-HOUR_NS, HOUR_NS])
def test_times_by_arrival_follow_our_wall_clock_at_once(step_ns: int) -> None:
    camera = Camera()
    before = camera.play(50)[-1]
    camera.ours_off_ns = step_ns
    after = camera.play(50)
    assert after[0].utc_ns - before.utc_ns == step_ns + PERIOD_NS
    assert after[-1].uncertainty_ns == before.uncertainty_ns


@pytest.mark.parametrize("step_ns", [-HOUR_NS + SECOND_NS, HOUR_NS - SECOND_NS])
def test_times_by_report_stay_the_cameras_when_our_wall_clock_is_set(step_ns: int) -> None:
    camera = Camera()
    camera.report()
    before = camera.play(50)[-1]
    camera.ours_off_ns = step_ns
    after = camera.play(2)
    assert [capture.clock for capture in after] == ["rtcp", "rtcp"]
    assert after[0].utc_ns - before.utc_ns == PERIOD_NS
    assert after[0].uncertainty_ns >= HOUR_NS - 2 * SECOND_NS
    assert camera.clock.offset_ns == -step_ns - DELAY_NS


@pytest.mark.parametrize("step_ns", [-60 * SECOND_NS, 60 * SECOND_NS])
def test_a_camera_whose_clock_is_set_is_followed(step_ns: int) -> None:
    camera = Camera()
    camera.report()
    camera.play(50)
    camera.camera_off_ns = step_ns
    camera.report()
    camera.play(50)
    assert camera.errors[-40:] == [step_ns] * 40
    assert camera.clock.offset_ns == step_ns - DELAY_NS


@pytest.mark.parametrize("jump_ns", [-HOUR_NS, HOUR_NS, -20 * SECOND_NS])
def test_a_jump_of_stream_time_waits_for_the_next_report(jump_ns: int) -> None:
    camera = Camera()
    camera.report()
    camera.play(50)
    camera.stamp_off_ns = jump_ns
    camera.clock.jump(camera.true_ns + jump_ns, camera.now())
    waiting = camera.play(50)
    assert {capture.clock for capture in waiting} == {"arrival"}
    assert max(map(abs, camera.errors[-50:])) < SECOND_NS
    camera.report()
    camera.play(3)
    assert camera.errors[-1] == 0


def test_a_pause_of_the_camera_keeps_its_report() -> None:
    camera = Camera()
    camera.report()
    camera.play(50)
    camera.true_ns += 60 * SECOND_NS
    camera.clock.jump(camera.true_ns, camera.now())
    assert camera.picture().clock == "rtcp"
    assert camera.errors[-1] == 0
