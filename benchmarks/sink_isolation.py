"""What a slow or a dead sink costs the others: time from the offer of a message to its delivery.

    python -m benchmarks.sink_isolation [--rate 200] [--seconds 3] [--rounds 20] [--json FILE]

A publisher offers `--rate` frame messages of 20 detections a second to two sinks: first one with a
spool, whose receiver is `well`, `slow` (half a second for each write), `hung` (no answer within two
seconds, again and again) or `gone` (a Kafka broker whose port nobody serves, by the real client),
then one without a spool that is always well. Measured is the delay at the second. The four take
turns in one process, so that a noisy machine meets them alike. `p99_ms` is the median over rounds
of each turn's p99, for one round in which the machine did something else would else be all that is
seen; `ratio` is it divided by that of `well`, with its 95 % interval over rounds drawn anew in
pairs (bootstrap, Efron 1979).
"""

import argparse
import json
import logging
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from pipeline.core.arrays import F64
from pipeline.core.clock import SystemClock, utc_text
from pipeline.core.errors import SinkUnavailable
from pipeline.core.frame_record import DetectionRow, FrameRecord, encode_producer
from pipeline.core.messages import Model, Producer, message_id
from pipeline.outlets.outlet import Outlet
from pipeline.outlets.spooled import SpooledOutlet
from sinks.base import Outgoing, Sink
from sinks.blackhole import BlackholeSink
from sinks.kafka import KafkaSink
from sinks.spool.settings import SpoolSettings
from sinks.spool.spool import Spool

PRODUCER = encode_producer(
    Producer(
        instance="benchmark",
        version="0",
        run_id="r",
        model=Model(name="none", sha256="0" * 64, precision="int8", engine="none"),
    )
)
ROW = DetectionRow("person", 0, 0.5, [1.0, 2.0, 3.0, 4.0], 1)


class Watched(BlackholeSink):
    """Notes when each message was delivered."""

    def __init__(self) -> None:
        super().__init__("watched")
        self.delivered_s: dict[str, float] = {}

    def write(self, messages: Sequence[Outgoing]) -> None:
        super().write(messages)
        now_s = time.perf_counter()
        for message in messages:
            self.delivered_s[message.message_id] = now_s


class Slow(BlackholeSink):
    """Takes half a second for each write."""

    def write(self, messages: Sequence[Outgoing]) -> None:
        time.sleep(0.5)
        super().write(messages)


class Hung(BlackholeSink):
    """Never answers."""

    def write(self, messages: Sequence[Outgoing]) -> None:
        time.sleep(2.0)
        raise SinkUnavailable(self.name, "no answer within 2 s")


def gone() -> Sink:
    """A broker whose port nobody serves."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    return KafkaSink([f"127.0.0.1:{port}"], "detections", connect_timeout_s=1.0)


VICTIMS: dict[str, Callable[[], Sink]] = {
    "well": lambda: BlackholeSink("victim"),
    "slow": lambda: Slow("victim"),
    "hung": lambda: Hung("victim"),
    "gone": gone,
}


def delays_s(victim: Sink, folder: Path, rate: float, seconds: float) -> list[float]:
    """Delays at the sink that is well, beside this one."""
    clock, watched = SystemClock(), Watched()
    spool = Spool(folder, SpoolSettings(), victim.name)
    outlets: list[Outlet | SpooledOutlet] = [
        SpooledOutlet(victim, spool, 1000, "block", clock, leave_after_s=0.0),
        Outlet(watched, 1000, "block", clock),
    ]
    for outlet in outlets:
        outlet.open()
    loops = [loop for outlet in outlets for loop in outlet.loops]
    threads = [threading.Thread(target=loop, name=name) for name, loop in loops]
    for thread in threads:
        thread.start()
    offered_s = publish(outlets, rate, seconds)
    for outlet in outlets:
        outlet.channel.close()
    for thread in threads:
        thread.join()
    for outlet in outlets:
        outlet.close()
    return [watched.delivered_s[key] - began_s for key, began_s in offered_s.items()]


def publish(
    outlets: Sequence[Outlet | SpooledOutlet], rate: float, seconds: float
) -> dict[str, float]:
    """Offer messages at an even pace: when each was made, by its id."""
    offered_s: dict[str, float] = {}
    began_s = time.perf_counter()
    for seq in range(int(rate * seconds)):
        time.sleep(max(0.0, began_s + seq / rate - time.perf_counter()))
        message = frame(seq)
        offered_s[message.message_id] = time.perf_counter()
        outgoing = Outgoing.of(message)
        for outlet in outlets:
            outlet.offer(message, outgoing)
    return offered_s


def frame(seq: int) -> FrameRecord:
    now = utc_text(time.time_ns())
    return FrameRecord(
        message_id=message_id("r", "gate", 0, seq, "frame"),
        stream_id="gate",
        epoch=0,
        seq=seq,
        published_at=now,
        producer=PRODUCER,
        pts_ns=0,
        captured_at=now,
        captured_source="arrival",
        captured_uncertainty_ms=1.0,
        arrived_at=now,
        width=640,
        height=360,
        dropped_since_last={},
        detections=[ROW] * 20,
    )


def measure(rate: float, seconds: float, rounds: int) -> dict[str, Any]:
    """All victims in turn, `rounds` times."""
    found: dict[str, list[list[float]]] = {name: [] for name in VICTIMS}
    for _ in range(rounds):
        for name, make in VICTIMS.items():
            with tempfile.TemporaryDirectory() as folder:
                found[name].append(delays_s(make(), Path(folder), rate, seconds))
    p99_ms = {
        name: np.array([1000 * np.quantile(turn, 0.99) for turn in turns])
        for name, turns in found.items()
    }
    return {
        name: {
            "p50_ms": round(1000 * float(np.median(np.concatenate(found[name]))), 3),
            "p99_ms": round(float(np.median(by_round)), 3),
            **ratio(by_round, p99_ms["well"]),
            "p99_ms_by_round": by_round.round(3).tolist(),
        }
        for name, by_round in p99_ms.items()
    }


def ratio(these_ms: F64, well_ms: F64) -> dict[str, Any]:
    """Of two medians over (R,) rounds, with its interval."""
    drawn = np.random.default_rng(0).integers(len(well_ms), size=(10_000, len(well_ms)))
    ratios = np.median(these_ms[drawn], axis=1) / np.median(well_ms[drawn], axis=1)
    low, high = np.quantile(ratios, (0.025, 0.975))
    return {
        "ratio": round(float(np.median(these_ms) / np.median(well_ms)), 3),
        "ratio_95": [round(float(low), 3), round(float(high), 3)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="What a bad sink costs the others.")
    parser.add_argument("--rate", type=float, default=200, help="messages a second")
    parser.add_argument("--seconds", type=float, default=3, help="of each turn")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    logging.getLogger("eyrie").setLevel(logging.ERROR)
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:2]))
    figures = {
        "machine": describe(),
        "rate_per_s": arguments.rate,
        "victims": measure(arguments.rate, arguments.seconds, arguments.rounds),
    }
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
