"""What gives way under load: the order, the floors, the bound on age, and the way back."""

import io
import logging
import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from pipeline.account import LoadReport, Report
from pipeline.cli.report import print_report
from pipeline.config import PipelineConfig
from pipeline.config.file import parse_config
from pipeline.core.errors import ConfigError
from pipeline.load.gate import Gate, opening
from tests.pipeline.load.load_world import World, camera, linear, regular


def world(
    cameras: dict[str, dict[str, Any]], fps: float, seconds: float, engine_fps: float
) -> World:
    arrivals = {name: regular(fps, seconds, place * 0.007) for place, name in enumerate(cameras)}
    streams = [camera(name, **keys) for name, keys in cameras.items()]
    return World(streams, arrivals, linear(1 / engine_fps))


def test_a_stream_that_ends_takes_its_class_with_it_and_costs_the_others_nothing() -> None:
    cameras = {"low": {"priority": 1}, "high": {"priority": 8}}
    run = world(cameras, fps=20, seconds=30, engine_fps=21)
    run.run()
    low, high = (stream.gate for stream in run.streams.values())
    assert low is not None
    assert high is not None
    assert (low.keep, high.keep) == pytest.approx((0.5, 0.5), abs=0.05)
    run.now_s += 2
    run.load.judge([high])
    assert high.keep >= 0.5


@given(st.floats(0, 1), st.integers(1, 300), st.integers(0, 50))
def test_a_gate_lets_an_even_share_through(keep: float, frames: int, before: int) -> None:
    gate = Gate("gate", 5, 1.0)
    gate.keep = keep
    passed = [gate.admit() for _ in range(before + frames)][before:]
    assert abs(sum(passed) - keep * frames) <= 1 + 1e-6
    gaps = [b - a for a, b in pairwise(i for i, p in enumerate(passed) if p)]
    assert max(gaps, default=0) - min(gaps, default=0) <= 1


ORDER = ["full", "skip", "slow", "below_floor"]


@st.composite
def gates(draw: st.DrawFn) -> list[Gate]:
    """Cameras of any rates, floors and priorities."""
    count = draw(st.integers(1, 6))
    made = []
    for place in range(count):
        gate = Gate(f"s{place}", draw(st.integers(0, 9)), draw(st.sampled_from([0.5, 1.0, 5.0])))
        gate.rate_fps = draw(st.sampled_from([0.0, 0.2, 2.0, 12.5, 30.0]))
        made.append(gate)
    return made


@given(gates(), st.floats(0, 200))
def test_as_much_passes_as_fits_and_the_lowest_priority_gives_first(
    some: list[Gate], budget_fps: float
) -> None:
    found = opening(some, budget_fps)
    whole_fps = sum(gate.rate_fps for gate in some)
    best = max(gate.priority for gate in some)
    floor_fps = sum(min(g.min_fps, g.rate_fps) for g in some if g.priority == best)
    assert found.fps(some) <= max(budget_fps, floor_fps) + 1e-6
    assert found.fps(some) >= min(max(budget_fps, floor_fps), whole_fps) - 1e-2
    for gate, keep in zip(some, found.keeps, strict=True):
        assert 0 <= keep <= 1
        if gate.priority == best:
            assert gate.rate_fps * keep >= min(gate.min_fps, gate.rate_fps) - 1e-9
    for low, a in zip(some, found.keeps, strict=True):
        for high, b in zip(some, found.keeps, strict=True):
            if low.priority < high.priority and (low.rate_fps, low.min_fps) == (
                high.rate_fps, high.min_fps
            ):  # fmt: skip
                assert a <= b


@given(gates(), st.floats(0, 200), st.floats(0, 200))
def test_with_a_smaller_budget_no_stream_gets_more(
    some: list[Gate], one_fps: float, other_fps: float
) -> None:
    less, more = opening(some, min(one_fps, other_fps)), opening(some, max(one_fps, other_fps))
    assert all(a <= b + 1e-9 for a, b in zip(less.keeps, more.keeps, strict=True))
    assert ORDER.index(less.stage) >= ORDER.index(more.stage)


def test_with_room_nothing_is_left_out() -> None:
    run = world({"a": {}, "b": {"priority": 0}}, fps=20, seconds=30, engine_fps=50)
    outcome = run.run()
    assert outcome.keeps == []
    for stream in run.streams.values():
        assert stream.account.totals() == (600, 600, {})
    assert run.load.report().times == 0


def test_a_small_overload_costs_the_lowest_priority_alone() -> None:
    cameras = {"low": {"priority": 1}, "low2": {"priority": 1}, "high": {"priority": 8}}
    run = world(cameras, fps=20, seconds=60, engine_fps=50)
    outcome = run.run()
    assert run.load.report().stage == "skip"
    served = outcome.between(20, 60)
    assert served["high"] == pytest.approx(20 * 40, abs=8)
    assert abs(served["low"] - served["low2"]) <= 2
    assert served["low"] >= 0.45 * 20 * 40
    assert run.streams["high"].account.totals()[2].get("load", 0) == 0


def test_then_rates_go_down_to_the_floor_of_the_lowest_first() -> None:
    cameras = {"low": {"priority": 1, "min_fps": 2}, "high": {"priority": 8, "min_fps": 2}}
    run = world(cameras, fps=20, seconds=60, engine_fps=10)
    outcome = run.run()
    assert run.load.report().stage == "slow"
    served = outcome.between(20, 60)
    assert served["low"] == pytest.approx(2 * 40, rel=0.1)
    assert served["high"] > 4 * 40


def test_below_all_floors_the_highest_keeps_its_own() -> None:
    cameras = {"low": {"priority": 1, "min_fps": 4}, "high": {"priority": 8, "min_fps": 4}}
    run = world(cameras, fps=20, seconds=80, engine_fps=5)
    outcome = run.run()
    assert run.load.report().stage == "below_floor"
    served = outcome.between(40, 80)
    assert served["high"] >= 0.9 * 4 * 40
    assert served["low"] < 1.5 * 40


def test_it_recovers_with_hysteresis_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "eyrie")
    cameras = {name: {"priority": place} for place, name in enumerate("abc")}
    arrivals = {name: regular(10, 180) for name in cameras}
    streams = [camera(name, **keys) for name, keys in cameras.items()]
    run = World(streams, arrivals, lambda now_s, n: n / (20 if now_s < 60 else 200))
    run.run()
    report = run.load.report()
    assert (report.stage, report.since_ns, report.keep, report.times) == ("full", None, {}, 1)
    assert 55 < report.degraded_s < 150
    told = [record for record in caplog.records if "engine" in record.getMessage()]
    assert [record.levelname for record in told] == ["WARNING", "INFO"]
    assert "lowest priority first (a 50%" in told[0].getMessage()


def test_a_steady_overload_finds_its_place_and_stays() -> None:
    run = world({"a": {"priority": 2}, "b": {}, "c": {}}, fps=15, seconds=280, engine_fps=25)
    outcome = run.run()
    assert 1 <= len(outcome.keeps) <= 12
    served = [name for at_s, name in outcome.served if at_s > 20]
    assert len(served) > 0.9 * 25 * 260


def test_a_slow_start_says_nothing_of_what_the_engine_can_do_later() -> None:
    """While everything starts at once it does a quarter of what it does behind that."""
    names = [f"cam{place}" for place in range(16)]
    arrivals = {name: regular(25, 60, place * 0.0021) for place, name in enumerate(names)}
    streams = [camera(name) for name in names]
    run = World(streams, arrivals, lambda now_s, n: n / (20 if now_s < 8 else 80), threads=2)
    outcome = run.run()
    served = outcome.between(25, 60)
    assert served.total() > 0.9 * 2 * 80 * 35
    assert outcome.latency_s(0.99, 25, 60) < 0.4
    assert max(served.values()) - min(served.values()) <= 0.1 * max(served.values())


@given(st.floats(0, 0.99), st.floats(0, 0.99))
def test_a_copy_of_a_gate_lets_the_same_frames_through(keep: float, phase: float) -> None:
    gate, copy = Gate("a", 0, 1.0), Gate("a", 0, 1.0)
    gate.phase = phase
    assert gate.admit()
    gate.keep = keep
    copy.copy(keep, phase)
    assert [gate.admit() for _ in range(50)] == [copy.admit() for _ in range(50)]


def test_files_and_streams_that_block_never_give_way() -> None:
    file = {"id": "file", "source": {"kind": "file", "path": "a.mp4"}}
    run = World([file, camera("block", when_full="block"), camera("live")], {}, linear(1))
    assert [stream.gate is not None for stream in run.streams.values()] == [False, False, True]
    for name in ("file", "block"):
        assert run.streams[name].lane.patient


def test_frames_that_waited_too_long_are_late_and_never_reach_the_engine() -> None:
    arrivals = {"a": [0.0, 0.1, 0.2, 0.3, 2.4]}
    run = World([camera("a", max_age_ms=400)], arrivals, linear(0.55), batch=1)
    outcome = run.run()
    assert outcome.ages_s == pytest.approx([0, 0.35, 0], abs=1e-9)
    assert run.streams["a"].account.totals() == (5, 3, {"late": 2})
    assert run.streams["a"].lane.oldest_s == pytest.approx(0.35)


def test_a_camera_with_few_frames_gets_through_an_engine_slower_than_their_age() -> None:
    """Batches of 1.5 s: what came as one began is older than a second when the next begins."""
    arrivals = {"busy": regular(25, 60), "slow": regular(1 / 1.5, 60, 0.01)}
    keys = {"min_fps": 0.5}
    streams = [camera("busy", priority=9, **keys), camera("slow", priority=1, **keys)]
    run = World(streams, arrivals, lambda now_s, n: 1.5, batch=4)
    outcome = run.run()
    served = outcome.between(0, 60)
    assert served["slow"] >= 0.5 * 60 * 0.9
    assert served["busy"] >= 0.5 * 60 * 0.9
    assert run.load.report().stage == "slow"  # both floors are less than what it does
    assert 1.0 < max(outcome.ages_s) <= 1.5 + 0.005


SECONDS, STEADY_S, MAX_AGE_S = 60.0, 25.0, 1.0


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"when_full": "block", "priority": 3}, "priority is for live streams"),
        ({"source": {"kind": "file", "path": "a.mp4"}, "max_age_ms": 50}, "max_age_ms is for live"),
        ({"fps": 2, "min_fps": 3}, "min_fps 3 is more than fps 2"),
        ({"source": {"kind": "street"}, "decode": "keyframes"}, "decode is not for a source"),
    ],
)
def test_keys_without_a_use_are_refused(keys: dict[str, Any], said: str) -> None:
    streams = [{**camera("a"), **keys}]
    with pytest.raises(ConfigError, match=said):
        parse_config({"streams": streams, "sinks": [{"kind": "jsonl", "path": "-"}]})


def test_a_slow_stream_may_be_slower_than_the_default_floor() -> None:
    sinks = [{"kind": "jsonl", "path": "-"}]
    config = parse_config({"streams": [camera("a", fps=0.2)], "sinks": sinks})
    assert PipelineConfig.model_validate(config.model_dump()) == config


def test_the_tables_say_for_how_long_streams_gave_way() -> None:
    console = Console(file=io.StringIO(), width=120)
    print_report(Report([], [], load=LoadReport(times=2, degraded_s=61.2)), console)
    print_report(Report([], []), console)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().count("streams gave way for 61 s in all (times: 2;") == 1


@st.composite
def schedules(draw: st.DrawFn) -> tuple[World, dict[str, Any]]:
    count = draw(st.integers(1, 5))
    rng = random.Random(draw(st.integers(0, 2**32)))
    seconds = SECONDS
    specs = {}
    for number in range(count):
        rate = draw(st.sampled_from([0.5, 2, 5, 12, 25]))
        keys = {
            "priority": draw(st.integers(0, 9)),
            "min_fps": draw(st.sampled_from([0.5, 1.0, 3.0])),
        }
        specs[f"s{number}"] = (rate, keys)
    jitter = draw(st.sampled_from([0.0, 0.2, 0.9]))
    arrivals = {
        name: sorted(at_s + rng.uniform(0, jitter / rate) for at_s in regular(rate, seconds))
        for name, (rate, _) in specs.items()
    }
    frame_s = draw(st.sampled_from([0.002, 0.02, 0.05, 0.1, 0.3, 0.5]))
    fixed_s = draw(st.sampled_from([0.0, 0.02]))
    spread = draw(st.sampled_from([0.0, 0.5]))

    def cost_s(now_s: float, frames: int) -> float:
        return (fixed_s + frame_s * frames) * rng.uniform(1 - spread, 1 + spread)

    streams = [camera(name, **keys) for name, (_, keys) in specs.items()]
    fits = int(MAX_AGE_S / (1.5 * (frame_s + fixed_s)))  # a longer batch makes all that come late
    run = World(streams, arrivals, cost_s, batch=min(draw(st.sampled_from([1, 4, 8])), fits))
    return run, specs


@settings(max_examples=25, deadline=None)
@given(schedules(), st.floats(0, 80), st.booleans())
def test_whatever_comes_it_adds_up_stays_fresh_and_no_lower_priority_is_served_more(
    schedule: tuple[World, dict[str, Any]], stop_s: float, abort: bool
) -> None:
    run, specs = schedule
    outcome = run.run(stop_s, abort=abort)
    for stream in run.streams.values():
        decoded, published, dropped = stream.account.totals()
        assert decoded == published + sum(dropped.values())
    assert max(outcome.ages_s, default=0) <= MAX_AGE_S + 0.005
    if stop_s < SECONDS:
        return
    span_s = SECONDS - STEADY_S
    served = outcome.between(STEADY_S, SECONDS)
    for name, (rate, keys) in specs.items():
        floor = span_s * min(rate, keys["min_fps"])
        if served[name] < 0.7 * floor - 2:
            lower = [n for n, (_, other) in specs.items() if other["priority"] < keys["priority"]]
            assert all(served[n] <= served[name] + 2 for n in lower)
