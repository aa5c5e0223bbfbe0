"""A soak on paper: `soak.json`, `soak.png` and `README.md`."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks import machine
from benchmarks.soak.cameras import ANALYSED_FPS, CAP_S, FAULTS, FPS, OPEN_S, READ_S
from benchmarks.soak.plot import draw
from benchmarks.soak.run import Run
from benchmarks.soak.verdict import (
    BACK_WITHIN_S,
    JUDGED_FROM_S,
    MOST_MB_PER_HOUR,
    SHORTEST_WARM_UP_S,
    Bar,
    memory_trend,
    relapses,
    warm_up_s,
)


def write(run: Run, bars: Sequence[Bar], folder: Path) -> None:
    """All three files, over those of an earlier soak."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "soak.json").write_text(_json(figures(run, bars)), encoding="utf-8")
    (folder / "README.md").write_text(page(run, bars), encoding="utf-8")
    draw(run, folder / "soak.png")


def figures(run: Run, bars: Sequence[Bar]) -> dict[str, Any]:
    """All that was seen."""
    trend = memory_trend(run.samples)
    return {
        "machine": machine.describe(),
        "began": run.began.isoformat(timespec="seconds"),
        "plan": asdict(run.plan),
        "bars": [asdict(bar) for bar in bars],
        "memory_mb_per_hour": asdict(trend) if trend else None,
        "warm_up_s": round(warm_up_s(run.samples)) if trend else None,
        "load_average": round(mean(s.load for s in run.samples), 2),
        "at_start": asdict(run.at_start) if run.at_start else None,
        "at_end": asdict(run.at_end) if run.at_end else None,
        "stop_s": round(run.stop_s, 2),
        "streams": {
            name: {
                "published": stream.published,
                "dropped": dict(stream.dropped),
                "statuses": dict(stream.statuses),
                "account_checked_at": stream.checked,
            }
            for name, stream in sorted(run.ledger.streams.items())
        },
        "relapses": [asdict(relapse) for relapse in relapses(run)],
        "outages": [_rounded(asdict(outage)) for outage in run.outages],
        "samples": [_rounded(asdict(sample)) for sample in run.samples],
    }


def _rounded(fields: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, 2) if isinstance(v, float) else v for k, v in fields.items()}


def _json(data: dict[str, Any]) -> str:
    """One line for each entry, and for each item of a list."""
    entries = []
    for key, value in data.items():
        text = json.dumps(value)
        if isinstance(value, list) and value:
            text = "[\n  " + ",\n  ".join(json.dumps(item) for item in value) + "\n ]"
        entries.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(entries) + "\n}\n"


def page(run: Run, bars: Sequence[Bar]) -> str:
    """The report to read."""
    about, samples = machine.describe(), run.samples
    loads = [sample.load for sample in samples]
    lines = [
        "# Soak",
        "",
        f"{len(run.plan.cameras)} cameras with random faults for {run.plan.minutes:g} minutes,"
        " watched by `eyrie run` with the bundled model.",
        "",
        f"- Command: `python -m benchmarks.soak --minutes {run.plan.minutes:g}"
        f" --seed {run.plan.seed}`, which writes this page, [soak.json](soak.json) and the plot.",
        f"- Began {run.began:%Y-%m-%d %H:%M} UTC at commit `{about['commit']}`, on"
        f" {about['cores']} cores of {about['cpu']}, Python {about['python']}.",
        f"- Load average of the machine: {mean(loads):.1f}, from {min(loads):.1f} to"
        f" {max(loads):.1f}. Cameras, faults and other work ran on the same cores, the soak at"
        f" nice {os.nice(0)}.",
        "",
        "| bar | holds | found |",
        "| --- | --- | --- |",
        *(f"| {_wanted(bar.name)} | {_mark(bar.passed)} | {bar.found} |" for bar in bars),
        "",
        "![memory, threads, descriptors and faults over the run](soak.png)",
        "",
        *_method(),
        "",
        *_faults(run),
        "",
        *_streams(run),
    ]
    return "\n".join(lines) + "\n"


def _mark(passed: bool | None) -> str:
    return {True: "yes", False: "**no**", None: "not judged"}[passed]


def _wanted(name: str) -> str:
    return {
        "memory": f"memory: resident set grows by less than {MOST_MB_PER_HOUR:g} MB/h",
        "threads": "threads: no more at the end than before the first fault",
        "descriptors": "descriptors: no more at the end than before the first fault",
        "account": "account: `decoded = published + dropped`, of every stream",
        "recovery": f"recovery: pictures within {BACK_WITHIN_S} s after a fault, the longest pause"
        f" of {CAP_S} s and 5 s",
        "exit": "exit: code 0 after SIGTERM",
    }[name]


def _method() -> list[str]:
    return [
        "## How it is measured",
        "",
        "The process is `eyrie run`, nothing is set in its environment, and all is read from"
        " outside, under `/proc`. The servers and the network that fails are other processes.",
        "",
        "- *Memory*: the resident set, every 5 s. The slope is Theil–Sen's, the median of the"
        " slopes between all pairs of points, over the medians of minutes; the interval is Sen's."
        f" The first third of a run is its warm-up, and at least {SHORTEST_WARM_UP_S / 60:.0f}"
        f" minutes; a run below {JUDGED_FROM_S / 60:.0f} minutes is not judged.",
        "- *Account*: from the messages alone. At every frame, its `seq` + 1 must be the frames"
        " published so far and the drops told so far; `end_of_stream` must say the same.",
        "- *Recovery*: from the end of a fault to the first message of a picture that came after"
        " it. A killed server's fault ends when it listens again. A stream that goes down while its"
        " camera is well counts, too.",
        f"- *Cameras*: {FPS} pictures a second of which {ANALYSED_FPS} are"
        " analysed, 480 x 272 to 1280 x 720, one in HEVC, one over UDP whose server alone fails;"
        f" `open_timeout_s` {OPEN_S}, `read_timeout_s` {READ_S}, `longest_pause_s` {CAP_S}.",
    ]


def _faults(run: Run) -> list[str]:
    rows = []
    for kind in FAULTS:
        found = [o for o in run.outages if o.kind == kind]
        back = [o.back_after_s for o in found if o.back_after_s is not None]
        if found:
            times = f"{median(back):.1f} | {max(back):.1f}" if back else "- | -"
            rows.append(f"| {kind} | {len(found)} | {times} |")
    return [
        "## Faults",
        "",
        "| fault | times | back after, median s | at most s |",
        "| --- | --- | --- | --- |",
        *rows,
    ]


def _streams(run: Run) -> list[str]:
    rows = []
    for name, stream in sorted(run.ledger.streams.items()):
        dropped = ", ".join(f"{reason} {n}" for reason, n in sorted(stream.dropped.items()))
        decoded = stream.published + stream.dropped.total()
        downs = stream.statuses["down"]
        rows.append(f"| {name} | {decoded} | {stream.published} | {dropped or '-'} | {downs} |")
    return [
        "## Streams",
        "",
        "| stream | decoded | published | dropped | went down, or tried in vain |",
        "| --- | --- | --- | --- | --- |",
        *rows,
    ]
