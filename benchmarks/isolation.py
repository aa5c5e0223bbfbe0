"""One camera after the other fails: what the others notice, and how soon it is back.

    python -m benchmarks.isolation [--fault NAME]... [--rounds 2] [--out FILE.json]

A real RTSP server, small pictures that carry their number, a detector that reads it, six cameras
that are well and one that is not. For each fault, times of health and of the fault take turns.
For the six: age of their frames, from the arrival of the picture to the publication of its
message, and frames lost or repeated. For the seventh: from the fault's end, or its beginning where
it has none, to the first frame of a new epoch. The fault `nothing` is the control. With `--out`,
results replace those of the same faults in the file.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.faults import FAULTS, FPS, KEYLESS_S, Fault
from pipeline.core.messages import FrameMessage
from tests.integration.rtsp_run import Run, numbers
from tests.services import numbered
from tests.services.cameras import CameraSite
from tests.services.servers import ServiceMissing

GOOD = tuple(f"good-{number}" for number in range(6))
CLIP_FRAMES = 100
CAP_S = 2.0
"""`longest_pause_s`."""
LIMIT_S = CAP_S + 5
DEADLINE_S = 60.0
"""A camera that is not back by then never comes back."""
SETTLE_S = 2.0
LOOK_EVERY_S = 0.1
PIECE_S = 1.0

Window = tuple[datetime, datetime]


@dataclass(slots=True)
class Log:
    """When the camera was well, when it was not, and when each fault was over."""

    calm: list[Window] = field(default_factory=list)
    faults: list[Window] = field(default_factory=list)
    ends: list[Window] = field(default_factory=list)
    """From when on the fault was being ended, and when it was over."""


def clips(folder: Path) -> dict[str, Path]:
    """The recordings that the cameras play."""
    keyless = round(KEYLESS_S * FPS)
    return {
        "plain": numbered.make(folder / "plain.mp4", CLIP_FRAMES, fps=FPS),
        "small": numbered.make(folder / "small.mp4", CLIP_FRAMES, fps=FPS, size=(128, 80)),
        "hevc": numbered.make(folder / "hevc.mp4", CLIP_FRAMES, fps=FPS, codec="libx265"),
        "reordered": numbered.make(folder / "reordered.mp4", CLIP_FRAMES, fps=FPS, b_frames=3),
        "keyless": numbered.make(folder / "keyless.mp4", keyless, fps=FPS, key_every=keyless),
    }


async def measure(
    kind: type[Fault],
    folder: Path,
    recordings: dict[str, Path],
    rounds: int,
    window_s: float,
    **keys: Any,
) -> dict[str, Any]:
    """One pipeline, and one fault `rounds` times; `keys` are for all streams. Raises
    `ServiceMissing`, and `TimeoutError` for a camera that does not come back."""
    with ExitStack() as stack:
        for name in ("good", "bad"):
            (folder / name).mkdir(parents=True)
        good = CameraSite(folder / "good", {"cam": recordings["plain"]})
        stack.callback(good.stop)
        good.start()
        fault = kind(stack, folder / "bad", recordings)
        run = Run([{**stream, **keys} for stream in _streams(good, fault)])
        async with run.pipeline:
            await run.until(lambda: _all_up(run), DEADLINE_S)
            await _for(SETTLE_S, lambda: True)
            log = Log()
            for _ in range(1 if kind.once else rounds):
                log.calm.append(await _for(window_s, lambda: True))
                await _befall(fault, run, window_s, log)
            report = await run.end()
    identity = all(s.decoded == s.published + sum(s.dropped.values()) for s in report.streams)
    return {**_judge(run, log), "identity_holds": identity}


def _streams(good: CameraSite, fault: Fault) -> list[dict[str, Any]]:
    watched = {name: {"url": good.url("cam")} for name in GOOD}
    watched["bad"] = fault.source()
    keys = {
        "kind": "rtsp", "open_timeout_s": 2, "read_timeout_s": 2, "longest_pause_s": CAP_S,
    }  # fmt: skip
    return [
        {"id": name, "source": {**keys, **source}, "queue_frames": 10 * FPS}
        for name, source in watched.items()
    ]


def _all_up(run: Run) -> bool:
    return all(stream.published > FPS for stream in run.pipeline.report().streams)


async def _befall(fault: Fault, run: Run, window_s: float, log: Log) -> None:
    """The fault, its end, and the time until the camera is well again; at least `window_s`."""
    log.calm.append(await _for(fault.due_in_s(), lambda: True))
    began, least_s = datetime.now(UTC), time.monotonic() + window_s
    ups, ending = run.report("bad").connections.up, began
    await asyncio.to_thread(fault.begin)
    if not fault.outlives:
        await _for(window_s / 2, lambda: True)
        ups, ending = run.report("bad").connections.up, datetime.now(UTC)
        await asyncio.to_thread(fault.end)
    log.ends.append((ending, began if fault.outlives else datetime.now(UTC)))
    frames = run.report("bad").published

    def is_back() -> bool:
        bad = run.report("bad")
        again = bad.connections.up > ups or not fault.reconnects
        return again and bad.published > frames + FPS

    await _for(least_s - time.monotonic(), is_back)
    log.faults.append((began, datetime.now(UTC)))
    await _for(SETTLE_S, lambda: True)  # what is left of it belongs to neither


async def _for(seconds: float, condition: Callable[[], bool]) -> Window:
    """So long at least, and until the condition; looks as often whatever happens."""
    began, least_s = datetime.now(UTC), time.monotonic() + seconds
    async with asyncio.timeout(seconds + DEADLINE_S):
        while True:
            done = condition()
            if time.monotonic() >= least_s and done:
                return began, datetime.now(UTC)
            await asyncio.sleep(LOOK_EVERY_S)


def _judge(run: Run, log: Log) -> dict[str, Any]:
    frames = {name: run.frames(name) for name in (*GOOD, "bad")}
    steps = [
        None if None in (a, b) else (int(b or 0) - int(a or 0)) % CLIP_FRAMES
        for name in GOOD
        for a, b in pairwise(numbers(frames[name]))
    ]
    good = [frame for name in GOOD for frame in frames[name]]
    before, during = (_ages(good, windows) for windows in (log.calm, log.faults))
    bad = run.report("bad")
    return {
        "recovery_s": [
            _recovery_s(run, frames["bad"], end, fault[1])
            for end, fault in zip(log.ends, log.faults, strict=True)
        ],
        "limit_s": LIMIT_S,
        "age_ms_before": before,
        "age_ms_during": during,
        "change_percent": {
            name: round(100 * (during[name] / before[name] - 1), 1)
            for name in ("p50", "p99", "p99_of_seconds")
        },
        "frames_of_others": len(good),
        "lost_by_others": sum(step - 1 for step in steps if step),
        "repeated_or_made_up": sum(not step for step in steps),
        "failures_of_others": sum(run.report(name).connections.failed for name in GOOD),
        "connections": {n: getattr(bad.connections, n) for n in ("up", "failed", "abandoned")},
    }


def _recovery_s(
    run: Run, frames: Sequence[FrameMessage], end: Window, until: datetime
) -> float | None:
    """Until the first frame of a new epoch behind which the camera did not go down again. None:
    there was no new one."""
    ending, over = end
    before = [frame for frame in frames if frame.published_at < ending]
    downs = [s for s in run.statuses("bad") if s.status == "down"]
    last = max([s.seq for s in downs if ending <= s.published_at <= until], default=before[-1].seq)
    epoch = before[-1].epoch
    back = [f.published_at for f in frames if f.epoch > epoch and f.seq > last]
    return round(max((back[0] - over).total_seconds(), 0.0), 2) if back else None


def _ages(frames: Sequence[FrameMessage], windows: Sequence[Window]) -> dict[str, float]:
    """Over all, and the median of the p99 of pieces of a second, which a pause of the whole machine
    does not move."""
    pieces: dict[int, list[float]] = {}
    for frame in frames:
        if any(began <= frame.published_at < ended for began, ended in windows):
            age_ms = (frame.published_at - frame.arrived_at).total_seconds() * 1000
            pieces.setdefault(int(frame.published_at.timestamp() / PIECE_S), []).append(age_ms)
    ages_ms = np.concatenate(list(pieces.values()))
    p50, p99 = np.percentile(ages_ms, [50, 99])
    typical = np.median([np.percentile(piece, 99) for piece in pieces.values()])
    named = {"p50": p50, "p99": p99, "p99_of_seconds": typical}
    return {"frames": len(ages_ms), **{k: round(float(v), 2) for k, v in named.items()}}


def table(results: dict[str, dict[str, Any]]) -> str:
    """One line for each fault."""
    lines = [
        f"{'fault':<15}{'back after s':>13}{'limit':>6}{'p50 ms':>14}{'p99 ms':>15}{'change':>8}"
        f"{'p99 of seconds':>17}{'change':>8}{'others lost':>15}"
    ]
    for name, found in results.items():
        if "skipped" in found:
            lines.append(f"{name:<15}skipped: {found['skipped']}")
            continue
        times = [t for t in found["recovery_s"] if t is not None]
        before, during, change = (
            found[key] for key in ("age_ms_before", "age_ms_during", "change_percent")
        )
        p50, p99, typical = (
            f"{before[key]:.1f} {during[key]:6.1f}" for key in ("p50", "p99", "p99_of_seconds")
        )
        lines.append(
            f"{name:<15}{max(times) if times else '-':>13}{found['limit_s']:>6.0f}{p50:>14}"
            f"{p99:>15}{change['p99']:>+7.0f}%{typical:>17}{change['p99_of_seconds']:>+7.0f}%"
            f"{found['lost_by_others']:>6} of {found['frames_of_others']}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="What one bad camera does to six good ones.")
    parser.add_argument("--fault", action="append", choices=list(FAULTS))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--window", type=float, default=6.0, help="seconds of health, and of fault")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    if arguments.out is not None and arguments.out.exists():
        results = json.loads(arguments.out.read_text(encoding="utf-8"))["faults"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recordings = clips(folder)
        for fault in arguments.fault or FAULTS:
            try:
                found = asyncio.run(
                    measure(
                        FAULTS[fault],
                        folder / fault,
                        recordings,
                        arguments.rounds,
                        arguments.window,
                    )
                )
            except ServiceMissing as missing:
                found = {"skipped": str(missing)}
            results[fault] = found
    ordered = {fault: results[fault] for fault in FAULTS if fault in results}
    print(table(ordered))
    if arguments.out is not None:
        whole = {"machine": machine.describe(), "faults": ordered}
        arguments.out.write_text(f"{json.dumps(whole, indent=2)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
