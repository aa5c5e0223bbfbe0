"""One soak: the command as people run it, its cameras failing, watched from outside."""

import asyncio
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import yaml

from benchmarks.machine import ROOT
from benchmarks.soak.cameras import CAMERAS, Camera, FaultKind, installed
from benchmarks.soak.ledger import Ledger
from benchmarks.soak.process import Sample, sample

EYRIE = (sys.executable, "-c", "from pipeline.cli import main; main()")
START_WITHIN_S, GIVE_UP_S, CALM_WITHIN_S, STOP_WITHIN_S = 120, 120, 20, 60
LONGEST_LINE_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, and how bad: each camera is well for a random time within `well_s`, then suffers a
    random fault for a time within `fault_s`, until `minutes` after all of them were up."""

    minutes: float
    seed: int = 0
    every_s: float = 5.0
    """Between two samples of the process."""
    well_s: tuple[float, float] = (10, 40)
    fault_s: tuple[float, float] = (2, 15)
    cameras: tuple[str, ...] = tuple(CAMERAS)
    clip_frames: int = 100


@dataclass(frozen=True, slots=True)
class Outage:
    """One fault, and the first frame after it. Seconds since the run began."""

    camera: str
    kind: FaultKind
    began_s: float
    ended_s: float
    back_after_s: float | None
    """From the end of the fault to the first picture that came after it; None: never came."""


@dataclass(slots=True)
class Run:
    """What was seen."""

    plan: Plan
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    began_s: float = field(default_factory=time.monotonic)
    ledger: Ledger = field(default_factory=Ledger)
    samples: list[Sample] = field(default_factory=list)
    outages: list[Outage] = field(default_factory=list)
    at_start: Sample | None = None
    """All cameras up, none has failed yet."""
    at_end: Sample | None = None
    """All cameras up again."""
    exit_code: int | None = None
    stop_s: float = 0.0
    """From SIGTERM to the end of the process."""
    log: str = ""
    """Its standard error."""

    @property
    def now_s(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began_s


async def soak(plan: Plan, folder: Path) -> Run:
    """The whole run, with everything in `folder`. Raises `ServiceMissing` without an RTSP server,
    and `RuntimeError` if the process does not come up or ends by itself."""
    with installed(folder, plan.cameras, plan.clip_frames) as cameras:
        configuration = folder / "soak.yaml"
        streams = [camera.section() for camera in cameras]
        sinks = [{"kind": "jsonl", "path": "-"}]
        configuration.write_text(yaml.safe_dump({"streams": streams, "sinks": sinks}))
        run = Run(plan)
        async with _running(run, configuration, folder / "log") as process:
            await _until(lambda: _all_up(run), START_WITHIN_S, "the cameras are not up")
            await asyncio.sleep(min(5.0, 10 * plan.minutes))
            run.at_start = sample(process.pid, run.began_s)
            over_s = run.now_s + 60 * plan.minutes
            async with asyncio.TaskGroup() as group:
                for camera in cameras:
                    group.create_task(_torment(run, camera, over_s))
            run.at_end = await _calm(run, process.pid)
    run.log = (folder / "log").read_text(errors="replace")
    return run


@asynccontextmanager
async def _running(
    run: Run, configuration: Path, log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command, its messages into the ledger, its samples; at the end it is told to stop."""
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *EYRIE, "run", str(configuration), "--quiet",
            stdout=asyncio.subprocess.PIPE, stderr=errors, cwd=ROOT, limit=LONGEST_LINE_BYTES,
        )  # fmt: skip
    reading = asyncio.create_task(_read(run, process))
    watching = asyncio.create_task(_watch(run, process.pid))
    try:
        async with _alive(process, log):
            yield process
        watching.cancel()
        stopped_s = run.now_s
        process.send_signal(signal.SIGTERM)
        run.exit_code = await asyncio.wait_for(process.wait(), STOP_WITHIN_S)
        run.stop_s = run.now_s - stopped_s
        await reading
    finally:
        watching.cancel()
        reading.cancel()
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def _alive(process: asyncio.subprocess.Process, log: Path) -> AsyncIterator[None]:
    """Raises `RuntimeError` if the process ends meanwhile."""
    body = asyncio.current_task()
    assert body is not None
    ended = asyncio.create_task(process.wait())
    ended.add_done_callback(lambda task: None if task.cancelled() else body.cancel())
    try:
        yield
    except asyncio.CancelledError:
        if process.returncode is None:
            raise
        text = log.read_text(errors="replace")
        raise RuntimeError(f"eyrie ended with {process.returncode}:\n{text}") from None
    finally:
        ended.cancel()


async def _read(run: Run, process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        run.ledger.take(line, run.now_s)


async def _watch(run: Run, pid: int) -> None:
    while True:
        run.samples.append(sample(pid, run.began_s))
        await asyncio.sleep(run.plan.every_s)


async def _torment(run: Run, camera: Camera, over_s: float) -> None:
    """Faults of one camera, one after the other, each waited for until it is overcome."""
    plan, rng = run.plan, random.Random(f"{run.plan.seed} {camera.name}")
    while True:
        well_s, lasts_s = rng.uniform(*plan.well_s), rng.uniform(*plan.fault_s)
        kind = rng.choice(camera.faults)
        if run.now_s + well_s + lasts_s > over_s:
            return
        await asyncio.sleep(well_s)
        began_s = run.now_s
        await camera.suffer(kind, lasts_s, rng)
        ended_s, ended = run.now_s, datetime.now(UTC)
        stream = run.ledger.stream(camera.name)
        while (not stream.arrived or stream.arrived < ended) and run.now_s < ended_s + GIVE_UP_S:
            await asyncio.sleep(0.05)
        back = stream.arrived is not None and stream.arrived >= ended
        after_s = run.now_s - ended_s if back else None
        run.outages.append(Outage(camera.name, kind, began_s, ended_s, after_s))


async def _calm(run: Run, pid: int) -> Sample:
    """When no more than at the start is held, or after a while."""
    assert run.at_start is not None
    deadline_s = run.now_s + CALM_WITHIN_S
    while True:
        now = sample(pid, run.began_s)
        more = now.threads > run.at_start.threads or now.descriptors > run.at_start.descriptors
        if not more or run.now_s > deadline_s:
            return now
        await asyncio.sleep(0.5)


def _all_up(run: Run) -> bool:
    return all(run.ledger.stream(name).published for name in run.plan.cameras)


async def _until(condition: Callable[[], bool], within_s: float, failing: str) -> None:
    try:
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise RuntimeError(f"{failing} within {within_s} s") from None
