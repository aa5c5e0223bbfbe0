"""Brokers stopped, processes killed with -9, under load: `python -m benchmarks.chaos`.

    --outage-s 600     how long the broker is away
    --rate-hz 500      frames a second
    --only kafka       or redis

Real Kafka and Redis; the outlet, spool and sinks of a pipeline. Then all is read back and proved as
`eyrie verify` does. Fails if anything is lost, out of order, or twice under different ids.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import machine
from tests.services import servers
from tests.services.outages import Load, judge, survive

RESULT = Path(__file__).parent / "results" / "chaos.json"


def main() -> None:
    parser = argparse.ArgumentParser(description="Brokers stopped, processes killed, under load.")
    parser.add_argument("--outage-s", type=float, default=600.0)
    parser.add_argument("--rate-hz", type=float, default=500.0)
    parser.add_argument("--only", choices=("kafka", "redis"))
    parser.add_argument("--json", type=Path, default=RESULT)
    asked = parser.parse_args()
    result: dict[str, Any] = {
        **machine.describe(),
        "outage_s": asked.outage_s,
        "rate_hz": asked.rate_hz,
    }
    for kind in (asked.only,) if asked.only else ("kafka", "redis"):
        with tempfile.TemporaryDirectory(prefix="eyrie-chaos-") as name:
            result[kind] = measure(kind, Path(name), asked.outage_s, asked.rate_hz)
        print(kind, json.dumps(result[kind], indent=1), flush=True)
    asked.json.write_text(json.dumps(result, indent=1) + "\n")
    sound = all(result[kind]["sound"] for kind in ("kafka", "redis") if kind in result)
    sys.exit(0 if sound else "messages were lost, repeated or out of order")


def measure(kind: str, folder: Path, outage_s: float, rate_hz: float) -> dict[str, Any]:
    """One broker through all that may happen."""
    home = folder / "broker"
    home.mkdir()
    broker = servers.kafka_broker(home) if kind == "kafka" else servers.redis_server(home)
    broker.start()
    began_s = time.monotonic()
    try:
        sink, url = sink_and_url(kind, broker.port)

        def restart() -> None:
            # Redis, as it is set up here, keeps nothing over a kill.
            broker.kill() if kind == "kafka" else broker.stop()
            broker.start()

        with Load(folder / "load", sink, rate_hz=rate_hz) as load:
            caught_up_s = survive(load, broker, outage_s, restart)
            found = judge(load, url)
    finally:
        broker.stop()
    return {
        "sound": found["complete"] and not found["order_violations"],
        "seconds": round(time.monotonic() - began_s, 1),
        "backlog_gone_after_s": round(caught_up_s, 1),
        **found,
    }


def sink_and_url(kind: str, port: int) -> tuple[dict[str, Any], str]:
    """A section of `sinks`, and the address to read from."""
    if kind == "kafka":
        servers.create_topic(port, "chaos", 3, {})
        servers_ = f"127.0.0.1:{port}"
        return (
            {"kind": "kafka", "bootstrap_servers": [servers_], "topic": "chaos"},
            f"kafka://{servers_}/chaos",
        )
    url = f"redis://127.0.0.1:{port}/0"
    return {"kind": "redis", "url": url, "stream": "chaos"}, f"{url}?stream=chaos"


if __name__ == "__main__":
    main()
