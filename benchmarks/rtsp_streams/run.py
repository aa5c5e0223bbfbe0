"""One run: cameras, broker and `eyrie run`, each a process of its own, on the same cores."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis
import yaml

from benchmarks.cpu_time import machine_cpu_s, tree_cpu_s
from benchmarks.machine import ROOT
from benchmarks.rtsp_streams.account import Entry, account
from pipeline.core.messages import FrameMessage, decode
from tests.services.cameras import CameraSite
from tests.services.servers import Server, free_port, redis_server

EYRIE = (sys.executable, "-c", "from pipeline.cli import main; main()")
TOPIC = "eyrie:detections"
UP_WITHIN_S, STOP_WITHIN_S = 90, 60


@dataclass(frozen=True, slots=True)
class Plan:
    """How many cameras, of which clips in turn, and for how long after `settle_s`. `settings` are
    keys of the configuration over its defaults, `stream_settings` of each stream."""

    streams: int
    clips: tuple[Path, ...]
    seconds: float = 15.0
    settle_s: float = 8.0
    settings: tuple[str, ...] = ()
    fps: float | None = None
    gstreamer: bool = False
    """The cameras are GStreamer's RTSP server, not the one beside this file."""


def measure(plan: Plan, folder: Path) -> dict[str, Any]:
    """Raises `ServiceMissing` without the servers, `RuntimeError` if the run does not come up."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        site = _cameras(plan, folder / "cameras")
        broker = redis_server(_made(folder / "redis"))
        _start(stack, broker)
        _start(stack, site)
        client = stack.enter_context(redis.Redis(port=broker.port))
        config = folder / "run.yaml"
        config.write_text(yaml.safe_dump(configuration(plan, site, broker.port, folder)))
        pids = {"cameras": site.pid, "redis": broker.pid}
        with running(config, folder / "log", plan.settings) as process:
            pids["eyrie"] = process.pid
            _until(lambda: _published(client) >= plan.streams, process, folder / "log")
            time.sleep(plan.settle_s)
            began, before = datetime.now(UTC), _cpu(pids)
            time.sleep(plan.seconds)
            ended, after = datetime.now(UTC), _cpu(pids)
        entries = list(_entries(client))
    span_s = (ended - began).total_seconds()
    found = account(entries, began, ended)
    cores = {name: round((after[name] - before[name]) / span_s, 3) for name in pids}
    frames = max(found["published"], 1)
    return {
        "streams": plan.streams,
        "seconds": round(span_s, 1),
        "published_fps": round(found["published"] / span_s, 1),
        **found,
        "cores_used": cores,
        "cores_others": round((after["busy"] - before["busy"]) / span_s - sum(cores.values()), 3),
        "cores_idle": round((after["idle"] - before["idle"]) / span_s, 3),
        "cpu_ms_per_published_frame": round(1000 * span_s * cores["eyrie"] / frames, 2),
    }


def configuration(plan: Plan, site: Server, port: int, folder: Path) -> dict[str, Any]:
    """Defaults, but for the spool's place."""
    more = {} if plan.fps is None else {"fps": plan.fps}
    return {
        "streams": [
            {
                "id": _name(number),
                "source": {"kind": "rtsp", "url": f"rtsp://127.0.0.1:{site.port}/{_name(number)}"},
                **more,
            }
            for number in range(plan.streams)
        ],
        "sinks": [{"kind": "redis", "url": f"redis://127.0.0.1:{port}/0", "stream": TOPIC}],
        "spool": {"folder": str(folder / "spool")},
    }


def _name(number: int) -> str:
    return f"cam-{number:02d}"


def _cameras(plan: Plan, folder: Path) -> Server:
    clips = {_name(n): plan.clips[n % len(plan.clips)] for n in range(plan.streams)}
    if plan.gstreamer:
        return CameraSite(_made(folder), clips)
    return rtsp_server(clips, _made(folder))


def rtsp_server(clips: Mapping[str, Path], folder: Path) -> Server:
    """The server beside this file, not started: each clip at rtsp://127.0.0.1:PORT/NAME."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.rtsp_streams.server", "--port", str(port)]
    command += [f"{name}={path}" for name, path in clips.items()]
    return Server(command, port, folder, lambda server: server.said("ready"))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _start(stack: ExitStack, server: Server) -> None:
    stack.callback(server.stop)
    server.start()


@contextmanager
def running(
    config: Path, log: Path, settings: Sequence[str] = ()
) -> "Iterator[subprocess.Popen[bytes]]":
    """`eyrie run` of a configuration, drained at the end. Raises `RuntimeError` with its output
    if it fails."""
    changes = [word for setting in settings for word in ("--set", setting)]
    with log.open("wb") as said:
        command = [*EYRIE, "run", str(config), "--quiet", *changes]
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)
    try:
        yield process
        process.terminate()
        if process.wait(STOP_WITHIN_S):
            raise RuntimeError(f"eyrie: exit code {process.returncode}\n{log.read_text()}")
    finally:
        process.kill()
        process.wait()


def _until(is_so: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline_s = time.monotonic() + UP_WITHIN_S
    while not is_so():
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise RuntimeError(f"the cameras are not up\n{log.read_text()}")
        time.sleep(0.5)


def _published(client: "redis.Redis") -> int:
    """Streams of which the topic has a frame."""
    return len({entry.frame.stream_id for entry in _entries(client)})


def _entries(client: "redis.Redis") -> Iterator[Entry]:
    found: Any = client.xrange(TOPIC)
    for key, fields in found:
        if fields[b"kind"] == b"frame":
            message = decode(fields[b"body"])
            assert isinstance(message, FrameMessage)
            yield Entry(message, int(key.partition(b"-")[0]) / 1000)


def _cpu(pids: dict[str, int]) -> dict[str, float]:
    """CPU seconds so far: of each process, and `busy` and `idle` of the machine."""
    busy_s, idle_s = machine_cpu_s()
    mine = {name: tree_cpu_s(pid) for name, pid in pids.items()}
    return {**mine, "busy": busy_s, "idle": idle_s}
