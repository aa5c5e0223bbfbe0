"""The short form of `python -m benchmarks.soak`: the real command and model, three cameras."""

import json
from pathlib import Path

import pytest

from benchmarks.soak.report import write
from benchmarks.soak.run import Plan, soak
from benchmarks.soak.verdict import failed_names, judge
from tests.integration.conftest import _miss
from tests.services.servers import ServiceMissing


@pytest.mark.timeout(400)
async def test_half_a_minute_of_faults_leaves_nothing_behind(tmp_path: Path) -> None:
    cameras = ("gate", "hall", "door")
    plan = Plan(
        0.4, seed=1, every_s=1, well_s=(1, 4), fault_s=(1, 4), cameras=cameras, clip_frames=20
    )
    try:
        run = await soak(plan, tmp_path)
    except ServiceMissing as missing:
        _miss(str(missing))
    bars = judge(run)
    late = {"recovery"}  # how soon is for a machine without other tests on it
    assert set(failed_names(bars)) <= late, bars
    assert all(outage.back_after_s is not None for outage in run.outages)
    assert set(run.ledger.streams) == set(cameras)
    assert len(run.outages) >= len(cameras)
    write(run, bars, tmp_path / "report")
    figures = json.loads((tmp_path / "report" / "soak.json").read_text())
    assert figures["memory_mb_per_hour"] is None
    assert len(figures["samples"]) > 20
    assert (tmp_path / "report" / "soak.png").read_bytes()[:4] == b"\x89PNG"
