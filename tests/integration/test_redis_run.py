"""Outlet, spool and Redis sink, with everything killed under load: nothing lost, nothing twice."""

import os
import time
from pathlib import Path
from typing import cast

import pytest
import redis

from tests.services.needed import need
from tests.services.outages import Load, judge
from tests.services.redis_servers import redis_with

need("redis-server")

OUTAGE_S = float(os.environ.get("EYRIE_REDIS_OUTAGE_S", "2"))
"""Two seconds in the suite; ten or more where there is time."""
RATE_HZ = 400.0


@pytest.mark.timeout(300)
def test_freezes_kills_and_restarts_lose_and_double_nothing(tmp_path: Path) -> None:
    broker = redis_with(tmp_path / "redis")
    broker.start()
    url = f"redis://127.0.0.1:{broker.port}/0"
    sink = {"kind": "redis", "url": url, "stream": "all", "connect_timeout_s": 1}
    load = Load(tmp_path / "load", sink, rate_hz=RATE_HZ)
    try:
        load.start()
        _wait_until_it_delivers(load)
        broker.pause()
        load.wait("spooling", lambda account: account["spooled"] > RATE_HZ)
        load.kill()
        load.start()
        time.sleep(OUTAGE_S)
        broker.resume()
        for _ in range(
            3
        ):  # the last writes before a kill may be confirmed, unconfirmed or half sent
            _wait_until_it_delivers(load)
            load.kill()
            load.start()
        _wait_until_it_delivers(load)
        broker.kill()
        time.sleep(OUTAGE_S / 2)
        broker.start()
        _wait_until_it_delivers(load)
        load.finish()
        found = judge(load, f"{url}?stream=all")
        with redis.Redis(port=broker.port) as client:
            entries = cast("list[tuple[bytes, object]]", client.xrange("all"))
    finally:
        broker.resume()
        broker.stop()
    assert found["complete"], found
    assert found["order_violations"] == found["duplicates"] == found["frames_lost"] == 0
    numbers = [int(entry_id.partition(b"-")[2]) for entry_id, _ in entries]
    assert numbers == list(range(1, len(numbers) + 1))
    assert load.account()["spooled"] == 0


def _wait_until_it_delivers(load: Load) -> None:
    before = load.account().get("acknowledged", 0)
    load.wait("delivering", lambda account: account.get("acknowledged", 0) > before + RATE_HZ / 4)
