"""The short form of `python -m benchmarks.eight_cameras`."""

from pathlib import Path

import pytest

from benchmarks.eight_cameras import GOOD, measure
from tests.integration.conftest import _miss
from tests.services.servers import ServiceMissing


@pytest.mark.timeout(200)
async def test_three_bad_cameras_cost_the_other_five_no_frame(tmp_path: Path) -> None:
    try:
        result = await measure(tmp_path, 15)
    except ServiceMissing as missing:
        _miss(str(missing))
    assert result["identity_holds"]
    assert result["bad"]["hung"]["failed"] >= 1
    assert result["bad"]["flapping"]["up"] >= 2
    for name in GOOD:
        account = result["good"][name]
        assert account["frames"] > 150
        lost = [account[key] for key in ("missing", "repeated", "not_of_the_camera")]
        assert (lost, account["epochs"]) == ([0, 0, 0], 1), name
