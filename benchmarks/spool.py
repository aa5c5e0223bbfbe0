"""How fast messages go through a spool: appended, read and acknowledged at once.

    python -m benchmarks.spool [--seconds 5] [--size 1024] [--folder FOLDER] [--json FILE]

One thread appends 256 messages at a time, another reads and acknowledges them, as the outlet of a
sink does; both are held to two cores. `keeps up` reads what is still in memory. `catches up` reads
a backlog from disk, while as much again is appended. `fsync` is the setting of that name.
"""

import argparse
import json
import os
import random
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, get_args

from benchmarks.machine import describe
from sinks.base import Outgoing
from sinks.spool.settings import Fsync, SpoolSettings
from sinks.spool.spool import Spool

BATCH = 256
BACKLOG_S = 0.5


def keeps_up(folder: Path, fsync: Fsync, seconds: float, batch: list[Outgoing]) -> dict[str, float]:
    """Messages a second, appended and acknowledged, while the reader is never far behind."""
    spool = Spool(folder, SpoolSettings(fsync=fsync), "benchmark")
    spool.open()
    reader = threading.Thread(target=_take, args=(spool, stopped := threading.Event()))
    began_s, cpu_s, count = time.perf_counter(), time.process_time(), 0
    reader.start()
    while time.perf_counter() - began_s < seconds:
        count += spool.append(batch)
    stopped.set()
    reader.join()
    passed_s, used_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    return _figures(spool, count, passed_s, used_s)


def catches_up(
    folder: Path, fsync: Fsync, seconds: float, batch: list[Outgoing]
) -> dict[str, float]:
    """Messages a second that come from disk, while as many are appended."""
    settings = SpoolSettings(max_bytes=8 << 30, fsync=fsync)
    with_backlog = Spool(folder, settings, "benchmark")
    with_backlog.open()
    began_s, backlog = time.perf_counter(), 0
    while time.perf_counter() - began_s < seconds * BACKLOG_S:
        backlog += with_backlog.append(batch)
    with_backlog.close()
    spool = Spool(folder, settings, "benchmark")
    spool.open()
    began_s, cpu_s, number, appended = time.perf_counter(), time.process_time(), 0, 0
    while time.perf_counter() - began_s < seconds and number < backlog:
        found = spool.read(number, BATCH)
        number = found[-1].number
        spool.acknowledge(number)
        appended += spool.append(batch)
    passed_s, used_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    return _figures(spool, number, passed_s, used_s)


def _take(spool: Spool, stopped: threading.Event) -> None:
    number = 0
    while not (stopped.is_set() and spool.account()[0].last == number):
        if found := spool.read(number, BATCH):
            number = found[-1].number
            spool.acknowledge(number)
        else:
            spool.wait_for_records(number, 0.1)


def _figures(spool: Spool, count: int, passed_s: float, used_s: float) -> dict[str, float]:
    account = spool.account()[0]
    assert account.dropped.total() == 0
    assert account.acknowledged == count
    spool.close()
    shutil.rmtree(spool.folder)
    return {
        "messages_per_s": round(count / passed_s),
        "cpu_us_per_message": round(used_s / count * 1e6, 1),
    }


def measure(folder: Path, seconds: float, size_bytes: int) -> dict[str, Any]:
    """All settings, one after the other."""
    rng = random.Random(0)
    batch = [
        Outgoing("frame", "gate", f"{place:032x}", rng.randbytes(size_bytes))
        for place in range(BATCH)
    ]
    figures: dict[str, Any] = {}
    for fsync in get_args(Fsync):
        figures[fsync] = {
            "keeps_up": keeps_up(folder / "keeps", fsync, seconds, batch),
            "catches_up": catches_up(folder / "catches", fsync, seconds, batch),
        }
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="Throughput of a spool.")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--size", type=int, default=1024, help="bytes of a message")
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:2]))
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        figures = {
            "machine": describe(),
            "message_bytes": arguments.size,
            "fsync": measure(Path(name), arguments.seconds, arguments.size),
        }
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
