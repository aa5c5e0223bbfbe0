"""Where CPU time goes: samples, stages, and the file for speedscope."""

import json
import threading
from collections import Counter
from pathlib import Path

import pytest

from pipeline.bench.child.sampler import Sampler, speedscope
from pipeline.bench.child.stages import NATIVE, OTHER, by_stage


def spin(passes: int) -> int:
    return sum(number * number for number in range(passes))


def test_samples_hold_the_time_that_a_thread_has_used(tmp_path: Path) -> None:
    spent: list[float] = []

    def work() -> None:
        began = threading.get_native_id()
        stat = Path(f"/proc/self/task/{began}/schedstat")
        spin(10_000_000)
        spent.append(int(stat.read_text().split()[0]) / 1e9)

    sampler = Sampler()
    with sampler:
        thread = threading.Thread(target=work, name="busy one")
        thread.start()
        thread.join()
    seen = {stack: ns for stack, ns in sampler.spent_ns.items() if stack[0][0] == "busy one"}
    assert sum(seen.values()) / 1e9 == pytest.approx(spent[0], abs=0.06)
    inner = sum(ns for stack, ns in seen.items() if any(place[0] == "spin" for place in stack))
    assert inner > 0.8 * sum(seen.values())
    sampler.write(tmp_path / "run.speedscope.json", "run")
    profile = json.loads((tmp_path / "run.speedscope.json").read_text())
    assert profile["$schema"].endswith("file-format-schema.json")
    assert "busy one" in {frame["name"] for frame in profile["shared"]["frames"]}


def test_a_profile_has_a_weight_for_every_stack() -> None:
    spent = Counter({(("a", "", 0), ("f", "x.py", 3)): 2_000_000, (("a", "", 0),): 1_000_000})
    profile = speedscope(spent, "two")["profiles"][0]
    assert profile["samples"] == [[0, 1], [0]]
    assert profile["weights"] == [2000.0, 1000.0]
    assert profile["endValue"] == 3000.0


def test_the_innermost_place_that_is_known_names_the_stage() -> None:
    thread = ("eyrie detect", "", 0)
    detector = ("detect", "/x/detectors/yolo_nas/detector.py", 9)
    stages = by_stage(
        {
            (("[av:h264:df0]", "", 0),): 1_000_000,
            (("[python]", "", 0),): 2_000_000,
            (thread, detector, ("run", "/x/detectors/engines/onnxruntime.py", 5)): 4_000_000,
            (thread, detector, ("fill", "/x/detectors/letterbox.py", 5)): 8_000_000,
            (thread, ("wait", "/usr/lib/python3/threading.py", 1)): 16_000_000,
        }
    )
    assert stages == {OTHER: 16.0, "prepare": 8.0, "engine": 4.0, NATIVE: 2.0, "decode": 1.0}
