"""Reports of a camera's clock: jitter is smoothed, drift and settings are followed."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.clock import SECOND_NS
from stages.sources.sender_reports import SenderReports

WALL_NS = 1_700_000_000 * SECOND_NS
PERIOD_NS = 200_000_000


def play(
    reports: SenderReports,
    seconds: int,
    wall_ns: Callable[[int], int],
    jitter_ns: Callable[[], int] = lambda: 0,
    every_s: int = 5,
    start_ns: int = 0,
) -> list[int]:
    """Packets with reports every so often: how far off each told time was, in ns."""
    errors = []
    offset_ns = 0
    for at_ns in range(start_ns, start_ns + seconds * SECOND_NS, PERIOD_NS):
        if (at_ns - start_ns) % (every_s * SECOND_NS) == 0:
            offset_ns = wall_ns(at_ns) - at_ns + jitter_ns()
        reports.see(at_ns, at_ns + offset_ns)
        known_ns = reports.offset_ns(at_ns)
        if known_ns is not None:
            errors.append(at_ns + known_ns - wall_ns(at_ns))
    return errors


def test_nothing_is_known_before_a_report() -> None:
    assert SenderReports().offset_ns(0) is None


def test_the_first_packet_with_a_report_is_not_believed() -> None:
    reports = SenderReports()
    reports.see(0, WALL_NS + PERIOD_NS)
    assert reports.offset_ns(0) is None
    reports.see(PERIOD_NS, WALL_NS + PERIOD_NS)
    reports.see(2 * PERIOD_NS, WALL_NS + 2 * PERIOD_NS)
    assert reports.offset_ns(0) == WALL_NS


def test_reports_that_never_agree_are_believed_in_the_end() -> None:
    reports = SenderReports()
    for second, jitter_ms in enumerate((0, 90, 10, 60, 5)):
        reports.see(second * SECOND_NS, WALL_NS + second * SECOND_NS + jitter_ms * 1_000_000)
    known_ns = reports.offset_ns(4 * SECOND_NS)
    assert known_ns is not None
    assert abs(known_ns - WALL_NS) < 100_000_000


@given(st.floats(-500e-6, 500e-6), st.integers(1, 30))
def test_drift_is_followed(drift: float, every_s: int) -> None:
    errors = play(
        SenderReports(), 1200, lambda at: WALL_NS + at + round(at * drift), every_s=every_s
    )
    assert max(map(abs, errors)) <= 1.05 * abs(drift) * every_s * SECOND_NS + 11_000_000
    assert max(map(abs, errors[len(errors) // 2 :])) < 5_000_000


@pytest.mark.parametrize("drift", [-100e-6, 0, 100e-6])
@pytest.mark.parametrize("seed", range(5))
def test_jitter_is_smoothed(seed: int, drift: float) -> None:
    rng = random.Random(seed)
    told: list[int] = []

    def jitter_ns() -> int:
        told.append(round(rng.gauss(0, 10_000_000)))
        return told[-1]

    errors = play(SenderReports(), 600, lambda at: WALL_NS + at + round(at * drift), jitter_ns)
    settled = errors[len(errors) // 4 :]
    rms = (sum(error**2 for error in settled) / len(settled)) ** 0.5
    assert rms < 7_500_000
    assert max(map(abs, settled)) < 25_000_000


@pytest.mark.parametrize("step_s", [-3600, -1, 1, 3600])
def test_a_camera_clock_that_is_set_is_followed_by_the_next_report(step_s: int) -> None:
    reports = SenderReports()
    play(reports, 20, lambda at: WALL_NS + at)
    errors = play(
        reports, 20, lambda at: WALL_NS + step_s * SECOND_NS + at, start_ns=20 * SECOND_NS
    )
    assert abs(errors[0]) == abs(step_s) * SECOND_NS
    assert max(map(abs, errors[2:])) < 1_000_000
    assert reports.steps_total == 1


def test_after_a_jump_of_stream_time_the_old_report_is_not_learned_again() -> None:
    reports = SenderReports()
    play(reports, 7, lambda at: WALL_NS + at)
    reports.refuse()
    for index in range(10):
        stamp_ns = 3600 * SECOND_NS + index * PERIOD_NS
        reports.see(stamp_ns, WALL_NS + stamp_ns)
        assert reports.offset_ns(stamp_ns) is None
    right_ns = WALL_NS + 7 * SECOND_NS
    hour_ns = 3600 * SECOND_NS
    errors = play(reports, 7, lambda at: right_ns + at - hour_ns, start_ns=hour_ns)
    assert max(map(abs, errors)) == 0
