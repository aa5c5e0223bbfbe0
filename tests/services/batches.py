"""Running `eyrie batch` as a process, killing it at chosen points, and comparing what it wrote."""

import hashlib
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.pipeline.batch.cheap import PULSE

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 100.0


def command(detector: str, *arguments: object) -> list[str]:
    """The command line; `detector` is a key of `tests.pipeline.batch.command.MAKERS`."""
    return [sys.executable, "-m", "tests.pipeline.batch.command", detector, *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "COLUMNS": "200", "PYTHONPATH": str(ROOT), **more}


def run(detector: str, *arguments: object, **env: str) -> "subprocess.CompletedProcess[str]":
    """To the end, within `LIMIT_S` a run of 40 short clips."""
    return subprocess.run(
        command(detector, *arguments), capture_output=True, text=True, timeout=10 * LIMIT_S,
        cwd=ROOT, env=environment(**env), check=False,
    )  # fmt: skip


def digest(out: Path) -> str:
    """SHA-256 of all messages of a batch, sorted."""
    lines = [line for file in (out / "messages").rglob("*.jsonl") for line in _lines(file)]
    return hashlib.sha256(b"\n".join(sorted(lines))).hexdigest()


def files(out: Path) -> dict[str, str]:
    """Every file of results by its place, and its SHA-256."""
    return {
        str(file.relative_to(out)): hashlib.sha256(file.read_bytes()).hexdigest()
        for folder in ("messages", "failed")
        for file in sorted((out / folder).rglob("*.jsonl"))
    }


def _lines(file: Path) -> list[bytes]:
    return file.read_bytes().split(b"\n")[:-1]


@dataclass(frozen=True, slots=True)
class Running:
    """A batch that runs, as the leader of a process group of its own."""

    process: "subprocess.Popen[str]"
    pipe: int

    def wait_for(self, pictures: int) -> int:
        """Until that many pictures were analysed, or it is over: how many were."""
        deadline_s, seen = time.monotonic() + 10 * LIMIT_S, 0
        while seen < pictures and time.monotonic() < deadline_s:
            if select.select([self.pipe], [], [], 0.1)[0]:
                seen += len(os.read(self.pipe, pictures - seen))
            elif self.process.poll() is not None:
                break
        return seen

    def kill(self, whole_group: bool) -> None:
        """SIGKILL to the coordinator alone, or to its workers too; returns when all are gone."""
        if whole_group:
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait()
        self.wait_until_all_are_gone()

    def wait_until_all_are_gone(self, within_s: float = 10.0) -> None:
        """Raises TimeoutError when a process of the group outlives the coordinator."""
        deadline_s = time.monotonic() + within_s
        while _alive(self.process.pid):
            if time.monotonic() > deadline_s:
                os.killpg(self.process.pid, signal.SIGKILL)
                raise TimeoutError("a worker outlives its coordinator")
            select.select([], [], [], 0.05)


def _alive(group: int) -> bool:
    """Is a process of the group alive? One that is dead and not yet buried is not."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, of_group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            except (OSError, ValueError):  # gone meanwhile
                continue
            if int(of_group) == group and state not in ("Z", "X"):
                return True
    return False


@contextmanager
def running(detector: str, folder: Path, *arguments: object, **env: str) -> Iterator[Running]:
    """Start it with a pipe in `folder` that tells of every picture; killed at the end."""
    pulse = folder / "pulse"
    pulse.unlink(missing_ok=True)
    os.mkfifo(pulse)
    pipe = os.open(pulse, os.O_RDWR | os.O_NONBLOCK)  # a writer too: it never ends
    process = subprocess.Popen(
        command(detector, *arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        cwd=ROOT, env=environment(**{PULSE: str(pulse)}, **env), start_new_session=True,
    )  # fmt: skip
    batch = Running(process, pipe)
    try:
        yield batch
    finally:
        if _alive(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        os.close(pipe)


@dataclass(frozen=True, slots=True)
class Kill:
    """After how many pictures of this run, with what options, and whom."""

    pictures: int
    workers: int
    batch_size: int
    whole_group: bool


def plan(
    seed: int, kills: int, pictures: int, workers: Sequence[int], sizes: Sequence[int]
) -> list[Kill]:
    """That many kills at random points, together before the last of `pictures`; options and victims
    in turn."""
    chance = random.Random(seed)
    most = pictures // (2 * kills)
    return [
        Kill(
            chance.randint(1, most), workers[i % len(workers)],
            sizes[i // len(workers) % len(sizes)], chance.random() < 0.5,
        )
        for i in range(kills)
    ]  # fmt: skip


def options(out: Path, workers: int, batch_size: int) -> list[object]:
    return ["--out", out, "--workers", workers, "--set", f"batch.size={batch_size}", "--quiet"]


def killed_and_resumed(
    detector: str, folder: Path, videos: Path, out: Path, kills: Sequence[Kill], *more: object
) -> "subprocess.CompletedProcess[str]":
    """Kill a batch at all these points, one after the other, then let it end: the last run.

    Raises AssertionError when it was over before a point was reached.
    """
    for kill in kills:
        arguments = [videos, *options(out, kill.workers, kill.batch_size), "--resume", *more]
        with running(detector, folder, *arguments) as batch:
            seen = batch.wait_for(kill.pictures)
            assert seen == kill.pictures, f"over after {seen} pictures, before {kill}"
            batch.kill(kill.whole_group)
            assert batch.process.returncode == -signal.SIGKILL
    return run(detector, videos, *options(out, 2, 4), "--resume", *more)
