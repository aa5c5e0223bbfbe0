"""The model of large machines does the sums that can be done by hand."""

import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.gil_sampler import Sampler, find_lock
from benchmarks.scaling.model import FPS, Machine, Simulation

BASE = Machine(
    cores=4, workers=0, engines=2, engine_ms=(1.0, 2.0), batch=4, engine_on_cores=False,
    decode_ms=5.0, decode_held_ms=0.2, receive_held_ms=0.1, main_held_ms=0.5,
)  # fmt: skip


def test_a_lone_camera_waits_for_nothing() -> None:
    load = Simulation(BASE, 1, 4).run()
    assert load.p50_ms == load.p99_ms == pytest.approx(5.0 + 0.2 + 3.0 + 0.5)
    assert load.busy["cores"] == pytest.approx(FPS * 0.005 / 4, rel=0.05)
    assert load.offered - load.told <= 1


@pytest.mark.parametrize(
    ("changed", "bottleneck", "most_fps"),
    [
        ({"decode_ms": 50.0}, "cores", 80),
        ({"main_held_ms": 9.8}, "main lock", 100),
        ({"engine_ms": (0.0, 20.0)}, "engines", 100),
    ],
)
def test_too_many_cameras_get_what_the_bottleneck_gives(
    changed: dict[str, Any], bottleneck: str, most_fps: float
) -> None:
    machine = replace(BASE, **changed)
    few, many = (Simulation(machine, streams, 6).run() for streams in (2, 16))
    assert few.told / few.offered > 0.95
    assert many.bottleneck == bottleneck
    assert many.busy[bottleneck] > 0.95
    assert many.told / 6 <= most_fps * 1.05


def test_workers_take_their_part_off_the_main_lock() -> None:
    alone = Simulation(BASE, 16, 4).run().busy["main lock"]
    helped = Simulation(replace(BASE, workers=4), 16, 4).run().busy["main lock"]
    assert helped / alone == pytest.approx(0.6 / 0.7, rel=0.02)
    apart = Simulation(replace(BASE, processes=4), 16, 4).run().busy["main lock"]
    assert apart / alone == pytest.approx(1 / 4, rel=0.02)


_PROGRAMS = {
    "computes": ("while True: pass", 0.9, 1.0),
    "sleeps": ("import time; time.sleep(60)", 0.0, 0.1),
    "hashes": (
        "import hashlib\ndata = bytes(20_000_000)\nwhile True: hashlib.sha256(data)",
        0.0,
        0.2,
    ),
}


@pytest.fixture(scope="module")
def lock() -> int:
    return find_lock()


@pytest.mark.parametrize("name", _PROGRAMS)
def test_the_lock_is_seen_from_outside(lock: int, name: str) -> None:
    program, least, most = _PROGRAMS[name]
    says = "from benchmarks.gil_sampler import runtime_address\n"
    says += "print(runtime_address(), flush=True)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", says + program], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        sampler = Sampler(process.pid, int(process.stdout.readline()), lock)
        sampler.look_until(time.monotonic() + 0.3)
        process.kill()
        share = sampler.share
        sampler.close()
    assert least <= share <= most
