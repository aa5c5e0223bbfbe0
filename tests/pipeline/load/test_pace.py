"""Batches by a latency target, with real streams, lanes, batcher and load on a simulated engine:
held wherever it can be, whatever the engine does, and shed by the policy where it cannot."""

import logging
import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.config import BatchConfig
from pipeline.config.file import parse_config
from pipeline.core.errors import ConfigError
from tests.pipeline.load.load_world import World, camera, regular

Cost = Callable[[float, int], float]
WARM_S = 4.0
"""After so long everything is learned."""


def arrivals(count: int, fps: float, seconds: float, jitter: float = 0.3) -> dict[str, list[float]]:
    """Cameras of one rate at random phases, each frame up to `jitter` of a period late."""
    rng = random.Random(count)
    return {
        f"s{number}": sorted(
            phase + at_s + rng.uniform(0, jitter / fps) for at_s in regular(fps, seconds)
        )
        for number, phase in ((number, rng.uniform(0, 1 / fps)) for number in range(count))
    }


def engine(fixed_s: float, each_s: float, noise: float = 0.1) -> Cost:
    """Takes `fixed_s + each_s * frames`, or up to `noise` longer."""
    rng = random.Random(7)
    return lambda now_s, frames: (fixed_s + each_s * frames) * rng.uniform(1, 1 + noise)


def world(
    count: int, fps: float, seconds: float, cost_s: Cost, target_s: float | None, size: int
) -> World:
    streams = [camera(f"s{number}") for number in range(count)]
    return World(streams, arrivals(count, fps, seconds), cost_s, size, target_s)


def account(run: World) -> tuple[int, int, dict[str, int]]:
    """Decoded, published and dropped of all streams; each one's adds up."""
    decoded, published, dropped = 0, 0, dict[str, int]()
    for stream in run.streams.values():
        came, went, left_out = stream.account.totals()
        assert came == went + sum(left_out.values())
        decoded, published = decoded + came, published + went
        for reason, count in left_out.items():
            dropped[reason] = dropped.get(reason, 0) + count
    return decoded, published, dropped


@settings(max_examples=12, deadline=None)
@given(
    st.integers(1, 16), st.sampled_from([2.0, 10.0, 25.0]), st.sampled_from([0.0, 0.004, 0.02]),
    st.sampled_from([0.0005, 0.003, 0.01]), st.sampled_from([1, 4, 8, 16]),
    st.sampled_from([1.05, 1.5, 4.0]),
)  # fmt: skip
def test_the_target_is_held_wherever_an_engine_can_hold_it(
    count: int, fps: float, fixed_s: float, each_s: float, size: int, slack: float
) -> None:
    """It can where it has room, and a frame of every stream at once is done in time behind the
    batch that is being computed."""
    batch_s = 1.15 * (fixed_s + each_s * size)
    target_s = slack * batch_s * (1 + math.ceil(count / size))
    assume(count * fps * batch_s / size <= 0.7)
    run = world(count, fps, 14, engine(fixed_s, each_s), target_s, size)
    outcome = run.run()
    assert outcome.latency_s(0.99, WARM_S) <= target_s
    decoded, published, _ = account(run)
    assert published >= 0.99 * decoded
    report = run.pace.report()
    assert (report.holds, report.times) == (True, 0)
    assert report.p99_ms <= 1000 * target_s


def test_batches_grow_with_the_load_and_no_frame_waits_without_a_gain() -> None:
    sizes, waits = [], []
    for count in (2, 8, 16, 32):
        run = world(count, 25, 12, engine(0.004, 0.0005), 0.1, 16)
        sizes.append(run.run().mean_batch(WARM_S))
        waits.append(run.pace.report().within_ms)
    assert sizes == sorted(sizes)
    assert sizes[0] < 1.2
    assert sizes[-1] > 8
    assert waits[0] == 0
    assert (waits[1] or 0) > 0
    unbatched = world(8, 10, 12, engine(0.0, 0.01), 0.5, 16)
    assert unbatched.run().mean_batch(WARM_S) < 2


def test_larger_batches_cost_the_engine_less_within_the_target() -> None:
    """Sixteen cameras that a GPU would do in batches of six, too, working all the time."""
    busy_s = []
    for target_s in (None, 0.15):
        run = world(16, 25, 12, engine(0.004, 0.001, 0), target_s, 16)
        batches = [size for at_s, size in run.run().batches if at_s >= WARM_S]
        busy_s.append(sum(0.004 + 0.001 * size for size in batches))
    assert busy_s[1] < 0.85 * busy_s[0]


@settings(max_examples=8, deadline=None)
@given(
    st.integers(2, 8), st.sampled_from([0.0, 0.03]), st.sampled_from([0.02, 0.04]),
    st.sampled_from([1.3, 2.0, 6.0]), st.sampled_from([3.0, 8.0]), st.integers(1, 3),
)  # fmt: skip
def test_what_is_too_much_is_shed_by_priority_and_the_rest_is_in_time(
    count: int, fixed_s: float, each_s: float, load: float, slack: float, classes: int
) -> None:
    size, batch_s = 4, 1.1 * (fixed_s + 4 * each_s)
    capacity_fps = size / batch_s
    fps = load * capacity_fps / count
    assume(2 * count < capacity_fps and 2 < fps <= 100)
    streams = [camera(f"s{n}", priority=n % classes, min_fps=1) for n in range(count)]
    run = World(streams, arrivals(count, fps, 24), engine(fixed_s, each_s), size, slack * batch_s)
    outcome = run.run()
    account(run)
    assert outcome.latency_s(0.99, 12) <= slack * batch_s
    served = outcome.between(12, 24)
    assert sum(served.values()) / 12 > 0.4 * min(capacity_fps, fps * count)
    assert min(served[f"s{number}"] for number in range(count)) >= 0.7 * 12
    for number in range(count):
        above = [
            served[f"s{other}"] for other in range(count) if other % classes > number % classes
        ]
        assert all(served[f"s{number}"] <= 1.1 * more + 3 for more in above)


def test_a_target_below_what_the_engine_needs_is_said_and_sheds_no_more_than_it_must(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "eyrie")
    run = world(4, 5, 20, engine(0.0, 0.02), 0.01, 4)
    outcome = run.run()
    _, published, _ = account(run)
    assert published >= 0.9 * 4 * 5 * 20
    assert outcome.latency_s(0.99, WARM_S) < 3 * 0.022
    report = run.pace.report()
    assert (report.holds, report.times) == (False, 1)
    assert report.missed + report.late >= 0.99 * 4 * 5 * 20
    told = [record.getMessage() for record in caplog.records if "target" in record.getMessage()]
    assert len(told) == 1
    assert told[0].startswith("batch.latency_target_ms 10 is not held: 100% of the frames are not")
    assert told[0].endswith("for one alone takes 21 ms: raise the target")


def test_it_adapts_within_seconds_when_the_engine_slows_down_and_when_it_recovers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "eyrie")
    base = engine(0.004, 0.001)

    def hot(now_s: float, frames: int) -> float:
        return base(now_s, frames) * (2 if 12 <= now_s < 24 else 1)

    run = world(8, 25, 36, hot, 0.06, 8)
    outcome = run.run()
    for from_s, to_s in ((WARM_S, 12), (14, 24), (26, 36)):
        assert outcome.latency_s(0.99, from_s, to_s) <= 0.06
    cool, heated = outcome.mean_batch(WARM_S, 12), outcome.mean_batch(14, 24)
    assert heated > cool + 1
    assert outcome.mean_batch(28, 36) == pytest.approx(cool, rel=0.15)
    _, published, _ = account(run)
    assert published >= 0.97 * 8 * 25 * 36


def test_an_engine_that_becomes_too_slow_sheds_and_says_when_it_holds_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "eyrie")
    base = engine(0.002, 0.006)

    def slow(now_s: float, frames: int) -> float:
        return base(now_s, frames) * (4 if 10 <= now_s < 30 else 1)

    run = world(4, 20, 60, slow, 0.15, 4)
    outcome = run.run()
    assert outcome.latency_s(0.99, 15, 30) <= 0.15
    assert run.load.report().times == 1
    assert run.load.report().stage == "full"
    report = run.pace.report()
    assert (report.holds, report.times) == (True, 1)
    told = [record.getMessage() for record in caplog.records if "target" in record.getMessage()]
    assert "streams give way by priority" in told[0]
    assert told[1:] == ["batch.latency_target_ms 150 is held again"]


def test_no_camera_is_starved_by_many_fast_ones() -> None:
    streams = [camera(f"s{n}", min_fps=1) for n in range(6)] + [camera("slow", min_fps=1)]
    times = {**arrivals(6, 25, 40), "slow": regular(1, 40, 0.3)}
    run = World(streams, times, engine(0.0, 0.02), 4, 0.15)
    served = run.run().between(10, 40)
    assert served["slow"] >= 0.7 * 30


def test_files_fill_the_batches_and_never_hold_live_streams_up() -> None:
    files = [
        {"id": name, "source": {"kind": "file", "path": "a.mp4"}, "queue_frames": 1000}
        for name in ("f1", "f2")
    ]
    times = {**arrivals(4, 10, 12), "f1": [0.0] * 1000, "f2": [0.0] * 1000}
    streams = [*files, *(camera(f"s{number}") for number in range(4))]
    run = World(streams, times, engine(0.004, 0.004), 8, 0.1)
    outcome = run.run(stop_s=12)
    live = [run.streams[f"s{number}"].account.totals() for number in range(4)]
    assert all(published >= 0.99 * decoded for decoded, published, _ in live)
    assert run.pace.report().p99_ms <= 100
    served = outcome.between(WARM_S, 10)
    assert served["f1"] + served["f2"] >= 0.6 * 6 / 0.0055
    assert abs(served["f1"] - served["f2"]) <= 2
    assert all(run.streams[name].account.totals()[2] == {} for name in ("f1", "f2"))


def test_files_keep_a_fifth_of_an_engine_that_live_streams_would_fill() -> None:
    file = {"id": "file", "source": {"kind": "file", "path": "a.mp4"}, "queue_frames": 1000}
    times = {**arrivals(8, 25, 12), "file": [0.0] * 1000}
    run = World([file, *(camera(f"s{n}") for n in range(8))], times, engine(0.0, 0.01), 4, 0.2)
    served = run.run(stop_s=12).between(WARM_S, 12)
    assert served["file"] >= 0.18 * sum(served.values())


def test_files_alone_go_in_full_batches() -> None:
    file = {"id": "file", "source": {"kind": "file", "path": "a.mp4"}, "queue_frames": 1000}
    run = World([file], {"file": [0.0] * 800}, engine(0.01, 0.001), 8, 0.02)
    outcome = run.run()
    assert outcome.mean_batch(0) > 7.5
    assert run.pace.report().frames == 0


def test_without_a_target_latency_is_told_and_nothing_planned() -> None:
    run = world(2, 10, 10, engine(0.0, 0.01), None, 4)
    run.run()
    report = run.pace.report()
    assert run.pace.plan is None
    assert (report.target_ms, report.within_ms, report.size) == (None, None, 4)
    assert 10 <= report.p50_ms <= report.p95_ms <= report.p99_ms <= 40
    assert report.in_time == 200 >= report.frames >= 190


def test_several_batches_beside_each_other_are_taken_into_account() -> None:
    streams = [camera(f"s{number}") for number in range(4)]
    run = World(streams, arrivals(4, 25, 12), engine(0.001, 0.012), 4, 0.06, threads=2)
    outcome = run.run()
    assert outcome.latency_s(0.99, WARM_S) <= 0.06
    _, published, _ = account(run)
    assert published == 4 * 25 * 12


def test_a_stream_with_its_own_age_keeps_it() -> None:
    cases: list[tuple[dict[str, Any], bool]] = [({}, True), ({"max_age_ms": 1000}, False)]
    for keys, late in cases:
        streams = [camera(f"s{number}", **keys) for number in range(4)]
        run = World(streams, arrivals(4, 25, 5), engine(0.0, 0.02), 4, 0.05)
        run.run()
        assert ("late" in account(run)[2]) == late


def test_the_target_replaces_the_wait_that_is_configured() -> None:
    sinks = [{"kind": "jsonl", "path": "-"}]
    batch = {"latency_target_ms": 80, "within_ms": 3}
    with pytest.raises(ConfigError, match="within_ms has no use with latency_target_ms"):
        parse_config({"streams": [camera("a")], "sinks": sinks, "batch": batch})
    assert (BatchConfig().wait_ms(1), BatchConfig().wait_ms(2)) == (5, 0)
    assert BatchConfig(within_ms=3).wait_ms(2) == 3
