"""HOTA, IDF1 and MOTA of the tracker on synthetic scenes, one set of parameters for all.

    python -m benchmarks.tracking_quality [--set key=value ...] [--only NAME ...] [--json FILE]
                                          [--workers 2] [--seconds 0]

`--seconds` shortens every take. Each family of scenes is one row, `drive` one for cars and one for
people; the last row is the mean of the others. No scene, and none of the detectors' mistakes, is
fitted to a recording: see `benchmarks/tracking_quality/noise.py`.
"""

import argparse
import json
from pathlib import Path

from benchmarks.machine import describe
from benchmarks.tracking_quality.measure import Row, measure
from stages.tracking.params import TrackerParams


def main() -> None:
    parser = argparse.ArgumentParser(description="Tracking quality on synthetic scenes.")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--only", action="append", default=[], metavar="FAMILY")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0)
    arguments = parser.parse_args()
    params = dict(_parsed(text) for text in arguments.set)
    rows = measure(params, arguments.only, arguments.workers, arguments.seconds)
    print(table(rows))
    if arguments.json:
        figures = {
            "machine": describe(),
            "params": params,
            "rows": {row.name: row.figures() for row in rows},
        }
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def _parsed(text: str) -> tuple[str, object]:
    key, _, value = text.partition("=")
    kinds = TrackerParams.__dataclass_fields__
    if key not in kinds or not value:
        raise SystemExit(f"--set {text}: give KEY=VALUE with a KEY of {', '.join(kinds)}")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value


def table(rows: list[Row]) -> str:
    """Percent, and counts."""
    lines = [f"{'family':<16}{'HOTA':>7}{'DetA':>7}{'AssA':>7}{'IDF1':>7}{'MOTA':>7}{'IDs':>7}"]
    for row in rows:
        f = row.figures()
        shares = (f["hota"], f["det_a"], f["ass_a"], f["idf1"], f["mota"])
        lines.append(
            f"{row.name:<16}" + "".join(f"{100 * share:7.2f}" for share in shares)
            + f"{f['id_switches']:7d}"
        )  # fmt: skip
    names = ("hota", "det_a", "ass_a", "idf1", "mota")
    means = [sum(row.figures()[name] for row in rows) / len(rows) for name in names]
    lines.append(f"{'mean':<16}" + "".join(f"{100 * mean:7.2f}" for mean in means))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
