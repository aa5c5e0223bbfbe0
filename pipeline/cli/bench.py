"""`eyrie bench`: what is measured, in which order, and where it is written."""

import contextlib
import json
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from detectors.engines.model_header import ModelHeader
from detectors.yolo_nas.detector import Description, resolve
from pipeline.bench import machine, plots, tables
from pipeline.bench.clips import size_of
from pipeline.bench.job import Point
from pipeline.bench.peer_models import peer_models
from pipeline.bench.peers import find_peers, measurable
from pipeline.bench.plan import PARTS, Part, Plan, parts_of
from pipeline.bench.profiles import Stages, profile
from pipeline.bench.results import PointResult, summarize
from pipeline.bench.rounds import measure
from pipeline.cli.bench_request import Request
from pipeline.cli.options import names
from pipeline.core.errors import ConfigError, EngineLoadError

_FAILED, _ABORTED = 1, 130


def run_bench(request: Request) -> int:
    """Measure, print, write `bench.json` and `bench.md`: the exit code. 1: a case has
    failed, 130: it was stopped."""
    console = Console(stderr=True, quiet=request.quiet, highlight=False)
    if request.prepare:
        return _prepare(request, console)
    if request.plots:
        plots.require_matplotlib()
    plan = _plan(request, console)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: processes are ended
    results: list[PointResult] = []
    for point, parts in plan.points():
        results.append(_measure(plan, point, parts, request, console))
        if not request.quiet:
            print(tables.section(results[-1]) + "\n")
        _write(request.out, results)
        if results[-1].rounds < request.rounds and not results[-1].failed:
            return _ABORTED
    stages = _profile(plan, request, console) if request.profile else {}
    if stages:
        print(tables.stages(stages))
        _write(request.out, results, stages)
    if request.plots:
        plots.draw(results, stages, request.out)
    return _FAILED if any(result.failed for result in results) else 0


def _measure(
    plan: Plan, point: Point, parts: frozenset[Part], request: Request, console: Console
) -> PointResult:
    with contextlib.ExitStack() as stack:
        cameras = plan.cameras(point, parts)
        if cameras is not None:
            stack.enter_context(cameras)
        cases = plan.cases(point, parts, cameras)
        measured = measure(cases, request.rounds, request.limit_s, _said_on(console), cameras)
    return summarize(point, measured)


def _profile(plan: Plan, request: Request, console: Console) -> Stages:
    parts = frozenset(plan.parts) & {"no_model", "pipeline"}
    cases = plan.cases(plan.base, parts)
    return profile(cases, request.out, request.limit_s, _said_on(console))


def _said_on(console: Console) -> Callable[[str], None]:
    return lambda line: console.print(line, markup=False, soft_wrap=True)


def _prepare(request: Request, console: Console) -> int:
    """Environments of the peers: installs those that are missing or old."""
    if request.peers is None:
        raise ConfigError("--prepare", "needs --peers, the folder of what is to be installed")
    for peer in find_peers(request.peers, request.environments):
        if peer.why_absent() is not None:
            console.print(f"{peer.title}: installing into {peer.environment}", markup=False)
            peer.prepare()
    return 0


def _plan(request: Request, console: Console) -> Plan:
    path = resolve(request.model, None)
    if path.suffix != ".onnx":
        raise EngineLoadError(f"model {request.model!r}: {path.name} is no ONNX file")
    found = [] if request.peers is None else find_peers(request.peers, request.environments)
    peers = tuple(measurable(found, _said_on(console)))
    forms = names("--peer-models", request.peer_models) if peers else ()
    box = Description.read(ModelHeader.read(path).metadata, path.name).processing.letterbox
    return Plan(
        model=path,
        folder=request.out / "clips",
        parts=PARTS if request.only is None else parts_of(names("--only", request.only)),
        streams=_whole_numbers("--streams", request.streams, 1),
        sizes=_sizes(request),
        batches=_whole_numbers("--batch", request.batches, 1),
        detections=_whole_numbers("--detections", request.detections, 0),
        frames=request.frames,
        live_s=request.live_s,
        threads=request.threads,
        network=(box.height, box.width),
        clip=request.clip,
        peers=peers,
        peer_models=peer_models(forms, path, request.out),
        settings=tuple(request.overrides or ()),
    )


def _whole_numbers(option: str, text: str, least: int) -> tuple[int, ...]:
    """Distinct ones of a list with commas."""
    found = names(option, text)
    if not all(name.isascii() and name.isdigit() for name in found):
        raise ConfigError(option, f"takes whole numbers with commas between, got {text!r}")
    numbers = tuple(dict.fromkeys(map(int, found)))
    if min(numbers) < least:
        raise ConfigError(option, f"takes numbers of {least} or more, got {min(numbers)}")
    return numbers


def _sizes(request: Request) -> tuple[tuple[int, int], ...]:
    if request.clip is not None:
        return (size_of(request.clip),)
    return tuple(_size(text) for text in names("--size", request.sizes))


def _size(text: str) -> tuple[int, int]:
    width, times, height = text.partition("x")
    if not (times and width.isdigit() and height.isdigit() and min(int(width), int(height)) >= 64):
        raise ConfigError("--size", f"takes WIDTHxHEIGHT of 64 pixels or more, got {text!r}")
    if int(width) % 2 or int(height) % 2:
        raise ConfigError("--size", f"takes even numbers of pixels, got {text!r}")
    return int(width), int(height)


def _write(folder: Path, results: Sequence[PointResult], stages: Stages | None = None) -> None:
    """All so far: a run that is cut short keeps its points."""
    folder.mkdir(parents=True, exist_ok=True)
    found, command = machine.describe(), f"eyrie {shlex.join(sys.argv[1:])}"
    tree: dict[str, Any] = {
        "machine": found,
        "command": command,
        "points": [asdict(result) for result in results],
        "stages_cpu_ms_per_frame": stages or {},
    }
    text = json.dumps(tree, indent=1)
    (folder / "bench.json").write_text(text + "\n", encoding="utf-8")
    page = tables.page(found, command, results, stages or {})
    (folder / "bench.md").write_text(page, encoding="utf-8")
