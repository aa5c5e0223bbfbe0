"""What a slow or a dead sink costs the others in a whole run: from the capture to the topic.

    python -m benchmarks.sink_isolation_run [--streams 1] [--seconds 20] [--rounds 5] [--json FILE]

RTSP cameras, `eyrie run` with the default model, a Redis stream that is always well, and beside it
a second sink whose receiver is `well` (a webhook that answers at once), `slow` (each answer takes
half a second), `hung` (no answer within two seconds, again and again), or `gone` (a Kafka broker
whose port nobody serves). Measured is the latency of the frames in Redis, by the cameras' clocks
and Redis' own. The four take turns, each a run of its own; `ratio` is the p99 beside that of `well`
in the same round, the median over rounds, with the 95 % interval of medians over rounds drawn anew
(bootstrap, Efron 1979). `benchmarks.sink_isolation` is the same without cameras and network, where
a tenth is some 0.1 ms.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.machine import DATA, describe
from benchmarks.rtsp_streams.run import Plan, measure
from tests.services.hook import Answer, Hook, Post
from tests.services.servers import free_port

NEIGHBOURS: Final = ("well", "slow", "hung", "gone")


def _slow(_: Post) -> Answer:
    time.sleep(0.5)
    return Answer()


@contextmanager
def neighbour(name: str) -> Iterator[dict[str, Any]]:
    """The configuration of a sink with such a receiver."""
    if name == "gone":
        brokers = [f"127.0.0.1:{free_port()}"]
        yield {"kind": "kafka", "bootstrap_servers": brokers, "topic": "detections"}
        return
    with Hook(judge=_slow) if name == "slow" else Hook() as hook:
        if name == "hung":
            hook.released.clear()
        yield {"kind": "webhook", "url": hook.url, "timeout_s": 2}


def p99_ms(name: str, streams: int, seconds: float, clips: tuple[Path, ...]) -> float:
    """Of one run beside this neighbour. Raises `RuntimeError` if frames are missing: then the
    machine has too few cores for so many cameras, and latencies tell of nothing else."""
    with tempfile.TemporaryDirectory() as folder, neighbour(name) as sink:
        found = measure(Plan(streams, clips, seconds, more_sinks=(sink,)), Path(folder))
    if found["dropped"]:
        raise RuntimeError(f"frames were dropped: {found['dropped']}; try fewer --streams")
    return float(found["capture_to_topic_ms"]["p99"])


def ratio(these_ms: list[float], well_ms: list[float]) -> dict[str, Any]:
    """Median of the rounds' ratios, and its interval."""
    ratios = np.array(these_ms) / np.array(well_ms)
    drawn = np.random.default_rng(0).integers(len(ratios), size=(10_000, len(ratios)))
    low, high = np.quantile(np.median(ratios[drawn], axis=1), (0.025, 0.975))
    return {
        "ratio": round(float(np.median(ratios)), 3),
        "ratio_95": [round(float(low), 3), round(float(high), 3)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="What a bad sink costs the others, end to end.")
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20, help="of each run, that count")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clips", type=Path, default=DATA / "clips" / "jamcam")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    clips = tuple(sorted(arguments.clips.glob("*.mp4")))
    found: dict[str, list[float]] = {name: [] for name in NEIGHBOURS}
    for _ in range(arguments.rounds):
        for name in NEIGHBOURS:
            found[name].append(p99_ms(name, arguments.streams, arguments.seconds, clips))
            print(name, found[name][-1], flush=True)
    figures = {
        "machine": describe(),
        "streams": arguments.streams,
        "neighbours": {
            name: {
                "p99_ms": round(float(np.median(by_round)), 1),
                **ratio(by_round, found["well"]),
                "p99_ms_by_round": by_round,
            }
            for name, by_round in found.items()
        },
    }
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
