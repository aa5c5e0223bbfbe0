"""The short form of `python -m benchmarks.isolation`: one fault, once."""

from pathlib import Path

import pytest

from benchmarks.faults import FAULTS
from benchmarks.isolation import LIMIT_S, clips, measure, table
from tests.integration.conftest import _miss
from tests.services.servers import ServiceMissing


@pytest.mark.parametrize("name", ["killed", "wrong_password"])
@pytest.mark.timeout(200)
async def test_a_camera_comes_back_and_the_others_lose_no_frame(name: str, tmp_path: Path) -> None:
    recordings = clips(tmp_path)
    try:
        found = await measure(
            FAULTS[name], tmp_path / name, recordings, rounds=1, window_s=3,
            when_full="block",  # on a busy machine frames would rightly be left out
        )  # fmt: skip
    except ServiceMissing as missing:
        _miss(str(missing))
    (recovery_s,) = found["recovery_s"]
    assert 0 < recovery_s <= LIMIT_S
    assert found["connections"]["failed"] >= 1
    assert found["frames_of_others"] > 500
    lost = ("lost_by_others", "repeated_or_made_up", "failures_of_others")
    assert [found[key] for key in lost] == [0, 0, 0]
    assert found["identity_holds"]
    assert f"0 of {found['frames_of_others']}" in table({name: found})
