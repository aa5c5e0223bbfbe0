"""`make fuzz`: ten thousand damaged clips. Ends with 1 if one crashes, hangs or is miscounted."""

import argparse
import datetime
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.machine import describe
from tests.fuzz.crew import run


def main() -> int:
    """Run, print, and write the findings to a file if one is named."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    began_s = time.monotonic()
    findings = run(range(options.first, options.first + options.cases), options.workers)
    told = {
        "machine": describe(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "first": options.first,
        "wall_s": round(time.monotonic() - began_s, 1),
        **asdict(findings),
    }
    text = json.dumps(told, indent=2)
    sys.stdout.write(f"{text}\n")
    if options.json:
        options.json.write_text(f"{text}\n", encoding="utf-8")
    return 1 if findings.faults else 0


if __name__ == "__main__":
    sys.exit(main())
