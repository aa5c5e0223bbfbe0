"""Six cameras, random faults, and the process that watches them.

    python -m benchmarks.soak [--minutes 30] [--seed 0] [--out docs/soak]

Runs `eyrie run` with the bundled model on six looping cameras of a real RTSP server. Every 5 s it
takes the process's memory, threads and descriptors; from the messages it proves the account of
every stream at every frame. Writes `README.md`, `soak.json` and `soak.png` into `--out`.

The exit code is 0 if all bars hold, else 1, and their names are on standard error.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from benchmarks.soak.report import write
from benchmarks.soak.run import Plan, soak
from benchmarks.soak.verdict import failed_names, judge


def main() -> None:
    parser = argparse.ArgumentParser(description="Six cameras that fail at random, for long.")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("docs/soak"))
    arguments = parser.parse_args()
    plan = Plan(arguments.minutes, arguments.seed)
    with tempfile.TemporaryDirectory(prefix="eyrie-soak-") as name:
        run = asyncio.run(soak(plan, Path(name)))
    bars = judge(run)
    write(run, bars, arguments.out)
    for bar in bars:
        mark = {True: "holds", False: "FAILS", None: "-"}[bar.passed]
        print(f"{bar.name:12} {mark:6} {bar.found}")
    if failed := failed_names(bars):
        sys.exit(f"soak: failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
