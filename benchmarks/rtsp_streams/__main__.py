"""Live RTSP cameras at 25 frames a second: what is published of them, how late, at which cost.

    python -m benchmarks.rtsp_streams [--streams 1 2 4 8 16 32] [--seconds 15] [--fps F]
        [--clips $EYRIE_DATA/clips/jamcam] [--gstreamer]
        [--set KEY=VALUE ...] [--json FILE]

A server loops the clips (`benchmarks.rtsp_streams.server`, or GStreamer's), `eyrie run` reads them
by TCP with the default model and writes to a Redis stream through the spool: three processes, on
the same cores, each with its CPU time. What others did on the machine is `cores_others`, and what
nobody used `cores_idle`. Capture times are the cameras' own, by RTCP; the topic's are Redis' own,
of when it took an entry in. `decoded = published + dropped` is of the span that counts. With
`--fps`, only so many pictures a second of each camera are analysed. `--json` adds to what is in
the file.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import DATA, describe
from benchmarks.rtsp_streams.run import Plan, measure


def main() -> None:
    parser = argparse.ArgumentParser(description="Live cameras into Redis: how many, how late.")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--settle", type=float, default=8, help="seconds before them")
    parser.add_argument("--fps", type=float, help="analysed of each camera")
    parser.add_argument("--clips", type=Path, default=DATA / "clips" / "jamcam")
    parser.add_argument("--gstreamer", action="store_true", help="cameras by GStreamer's server")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    clips = tuple(sorted(arguments.clips.glob("*.mp4")))
    if not clips:
        raise SystemExit(f"{arguments.clips}: no clips (*.mp4) there; name a folder by --clips")
    runs = []
    for count in arguments.streams:
        settings = tuple(arguments.set)
        span = (arguments.seconds, arguments.settle)
        plan = Plan(count, clips, *span, settings, arguments.fps, arguments.gstreamer)
        with tempfile.TemporaryDirectory() as folder:
            found = measure(plan, Path(folder))
        runs.append({"fps": arguments.fps, "settings": settings, **found})
        print(json.dumps(runs[-1]))
    if arguments.json:
        _add(arguments.json, runs)


def _add(path: Path, runs: list[dict[str, Any]]) -> None:
    """Runs with other numbers of streams, or other settings, stay."""
    old = json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else []

    def key(run: dict[str, Any]) -> str:
        return json.dumps([run["streams"], run["fps"], list(run["settings"])])

    merged = {key(run): {"machine": describe(), **run} for run in runs}
    kept = [run for run in old if key(run) not in merged]
    found = sorted(
        [*kept, *merged.values()], key=lambda run: (len(run["settings"]), run["streams"])
    )
    path.write_text(json.dumps({"runs": found}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
