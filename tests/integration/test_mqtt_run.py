"""Outlet, spool and MQTT sink, with broker and producer killed under load: nothing lost."""

from pathlib import Path

import pytest

from sinks.consume.base import Record
from sinks.consume.proof import Asked, Proof
from tests.services.mqtt_servers import Listener, mosquitto
from tests.services.needed import need
from tests.services.outages import Load

need("mosquitto")

RATE_HZ = 200.0


@pytest.mark.timeout(300)
def test_kills_and_restarts_lose_nothing(tmp_path: Path) -> None:
    """The listener's session is the broker's to keep, so whoever loses something is found out."""
    broker = mosquitto(tmp_path / "mosquitto")
    broker.start()
    sink = {
        "kind": "mqtt", "url": f"mqtt://127.0.0.1:{broker.port}", "topic": "all",
        "status_topic": None, "connect_timeout_s": 1,
    }  # fmt: skip
    load = Load(tmp_path / "load", sink, rate_hz=RATE_HZ)
    proof = Proof(Asked())
    try:
        with Listener(broker.port, lasting=True) as listener:
            load.start()
            _wait_until_it_delivers(load)
            broker.stop()
            load.wait("spooling", lambda account: account["spooled"] > RATE_HZ)
            load.kill()
            load.start()
            broker.start()
            _wait_until_it_delivers(load)
            load.kill()
            load.start()
            _wait_until_it_delivers(load)
            load.finish()
            listener.catch_up()
            bodies = listener.bodies("all")
    finally:
        broker.stop()
    proof.take([Record(body, "all", place) for place, body in enumerate(bodies)])
    assert proof.complete
    assert all(stream.conflicts == 0 for stream in proof.streams.values())
    assert len(proof.streams) == len(load.runs) * load.streams
    assert load.account()["spooled"] == 0


def _wait_until_it_delivers(load: Load) -> None:
    before = load.account().get("acknowledged", 0)
    load.wait("delivering", lambda account: account.get("acknowledged", 0) > before + RATE_HZ / 2)
