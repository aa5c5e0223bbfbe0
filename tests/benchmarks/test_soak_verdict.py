"""Each bar of a soak fails for its own reason, and only then."""

import numpy as np
import pytest

from benchmarks.soak.process import Sample
from benchmarks.soak.report import figures, page
from benchmarks.soak.run import Outage, Plan, Run
from benchmarks.soak.verdict import JUDGED_FROM_S, failed_names, judge, memory_trend, relapses
from pipeline.core.messages import EndOfStreamMessage
from tests.benchmarks.test_soak_ledger import end


def held(at_s: float, rss_mb: float = 300, threads: int = 20, descriptors: int = 14) -> Sample:
    return Sample(at_s, rss_mb, 200, threads, descriptors, 1.5)


def growing(mb_per_hour: float, warm_up_mb: float = 0) -> list[Sample]:
    """Half an hour, with a warm-up of ten minutes that holds so much more or less."""
    rng = np.random.default_rng(1)
    return [
        held(s, 300 + mb_per_hour * s / 3600 + warm_up_mb * (s < 600) + rng.normal(0, 0.1))
        for s in range(0, 1801, 5)
    ]


def good() -> Run:
    run = Run(Plan(30))
    run.samples = growing(0.2, -100)
    run.at_start, run.at_end, run.exit_code = held(30), held(1800), 0
    run.outages = [Outage("gate", "kill", 100, 105, 3.0), Outage("gate", "storm", 200, 210, 9.9)]
    stream = run.ledger.stream("gate")
    message = end(0, 0, {})
    assert isinstance(message, EndOfStreamMessage)
    stream.end = message
    return run


def failed(run: Run) -> list[str]:
    return failed_names(judge(run))


def test_all_bars_hold_of_a_good_run_whatever_its_warm_up() -> None:
    run = good()
    assert [(bar.name, bar.passed) for bar in judge(run)] == [
        ("memory", True), ("threads", True), ("descriptors", True),
        ("account", True), ("recovery", True), ("exit", True),
    ]  # fmt: skip
    trend = memory_trend(run.samples)
    assert trend is not None
    assert trend.slope == pytest.approx(0.2, abs=0.2)


def test_memory_that_grows_fails_and_a_short_run_is_not_judged() -> None:
    run = good()
    run.samples = growing(1.5)
    assert failed(run) == ["memory"]
    run.samples = [s for s in run.samples if s.at_s < JUDGED_FROM_S]
    assert judge(run)[0].passed is None


def test_one_thread_or_descriptor_more_fails() -> None:
    run = good()
    run.at_end = held(1800, threads=21)
    assert failed(run) == ["threads"]
    run.at_end = held(1800, descriptors=15)
    assert failed(run) == ["descriptors"]


@pytest.mark.parametrize("back_after_s", [10.1, None])
def test_a_camera_that_comes_back_late_or_never_fails(back_after_s: float | None) -> None:
    run = good()
    run.outages.append(Outage("yard", "freeze", 300, 310, back_after_s))
    assert failed(run) == ["recovery"]
    assert "yard after freeze at 300 s" in judge(run)[4].found


def test_a_soak_without_a_fault_shows_nothing() -> None:
    run = good()
    run.outages.clear()
    assert failed(run) == ["recovery"]


def test_going_down_while_well_is_no_recovery_unless_it_is_back_in_time() -> None:
    run = good()
    stream = run.ledger.stream("gate")
    stream.downs = [(101.0, "in a fault"), (300.0, "out of the blue")]
    stream.backs = [108.0, 305.0]
    assert [relapse.back_after_s for relapse in relapses(run)] == [5.0]
    assert failed(run) == []
    stream.backs = [108.0]
    assert failed(run) == ["recovery"]


def test_a_broken_account_and_a_bad_exit_fail() -> None:
    run = good()
    run.ledger.stream("gate").breaks.append("frame 3: …")
    run.exit_code = 1
    assert failed(run) == ["account", "exit"]


def test_the_report_says_what_failed() -> None:
    run = good()
    run.exit_code = 3
    text = page(run, judge(run))
    assert "| exit: code 0 after SIGTERM | **no** | code 3" in text
    assert "| kill | 1 | 3.0 | 3.0 |" in text
    assert figures(run, judge(run))["warm_up_s"] == 600
