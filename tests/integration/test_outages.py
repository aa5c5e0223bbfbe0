"""Brokers stopped and producers killed under load: nothing is lost, and order is kept. Ten seconds
here; `make chaos` has ten minutes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.chaos import sink_and_url
from tests.services.outages import Load, judge, survive
from tests.services.servers import Server

OUTAGE_S, RATE_HZ = 10.0, 100.0
ServerMaker = Callable[[str], Server]


# kafka-python leaves sockets of failed connections to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["redis", "kafka"])
def test_nothing_is_lost_in_an_outage_with_kills(
    kind: str, make_server: ServerMaker, tmp_path: Path
) -> None:
    broker = make_server(kind)
    sink, url = sink_and_url(kind, broker.port)

    def restart() -> None:
        broker.stop()
        broker.start()

    with Load(tmp_path / "load", sink, rate_hz=RATE_HZ) as load:
        survive(load, broker, OUTAGE_S, restart)
        found = judge(load, url)
    assert found["wrong"] == []
    assert found["complete"]
    assert found["frames_lost"] == found["order_violations"] == 0
    assert found["same_id_other_content"] == 0
    assert (found["runs"], found["ended"]) == (3, load.streams)
    assert found["messages_delivered"] > OUTAGE_S * RATE_HZ
    account = found["account"]
    assert account["produced"] == account["acknowledged"]
    assert (account["spooled"], account["dead_lettered"], account["dropped"]) == (0, 0, {})
    assert 0 <= found["frames_in_memory_at_kills"] < 2 * RATE_HZ
