"""`eyrie model build`: the TensorRT plan of an ONNX file, for this machine's GPU."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline.core.errors import ConfigError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from detectors.engines.tensorrt.builder import BuildOptions
    from detectors.engines.tensorrt.plan import Plan
    from detectors.engines.tensorrt.platform import Platform


def build(
    model: Annotated[str, typer.Argument(help="A bundled model, or an ONNX file.")],
    precision: Annotated[
        Literal["int8", "fp16", "fp32"] | None,
        typer.Option(help="Default: the file's. An FP32 file can be built in fp16."),
    ] = None,
    max_batch: Annotated[int, typer.Option(min=1, help="The largest batch it will take.")] = 16,
    best_batch: Annotated[int, typer.Option(min=1, help="The batch it is tuned for.")] = 1,
    workspace_mib: Annotated[int, typer.Option(min=1, help="GPU memory for its kernels.")] = 1024,
    level: Annotated[int, typer.Option(min=0, max=5, help="How long it may search.")] = 3,
    out: Annotated[Path | None, typer.Option(help="Also write the plan to this file.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where plans are kept.")] = None,
) -> int:
    """Build a model for this machine's GPU with TensorRT, and keep it for later starts."""
    from detectors.engines.tensorrt.builder import BuildOptions
    from detectors.engines.tensorrt.platform import Platform
    from detectors.engines.tensorrt.preparation import choose_precision
    from detectors.yolo_nas.detector import resolve

    if best_batch > max_batch:
        raise ConfigError("--best-batch", f"{best_batch} is more than --max-batch {max_batch}")
    path = resolve(model)
    options = BuildOptions(
        precision=choose_precision(path, precision),
        max_batch=max_batch,
        best_batch=best_batch,
        workspace_mib=workspace_mib,
        level=level,
    )
    return build_and_tell(path, options, Platform.find(), out, cache)


def build_and_tell(
    path: Path, options: BuildOptions, platform: Platform, out: Path | None, cache: Path | None
) -> int:
    """Build, or find in the cache; write `out`; say what came of it: the exit code."""
    from detectors.engines.tensorrt.plan import PlanCache, write
    from detectors.engines.tensorrt.preparation import build_plan, plan_key

    kept = PlanCache(cache)
    plan = kept.find(plan_key(path, options, platform), path.stem)
    if plan is None:
        with _watched(path.name) as watcher:
            plan = build_plan(path, options, platform, kept, watcher)
    where = out or kept.path(plan.key, path.stem)
    if out is not None:
        write(out, plan)
    for line in told(plan):
        typer.echo(line)
    typer.echo(f"{where}: {len(plan.engine) / 1e6:.2f} MB")
    return 0


def told(plan: Plan) -> list[str]:
    """What a plan is for and what it runs in, a line each."""
    from detectors.engines.tensorrt.inspector import int8_share, layers

    key = plan.key
    lines = [
        f"TensorRT {key.tensorrt} for {plan.gpu} ({key.architecture}), batches of 1 to "
        f"{key.max_batch}, tuned for {key.best_batch}",
        f"precision {key.precision}, typing: {plan.typing}",
    ]
    if plan.planned_int8:
        share = int8_share(layers(plan.information), plan.planned_int8)
        lines.append(f"INT8: {share}")
    return lines


class Bars:
    """TensorRT's phases as bars, each within its parent; as `BuildWatcher`."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._guard = threading.Lock()
        self._tasks: dict[str, TaskID] = {}
        self._depths: dict[str, int] = {}
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End the build at its next step."""
        self._stopped.set()

    def phase_started(self, name: str, parent: str | None, steps: int) -> None:
        """See `BuildWatcher`."""
        with self._guard:
            self._depths[name] = self._depths.get(parent or "", -1) + 1
            shown = "  " * self._depths[name] + name
            self._tasks[name] = self._progress.add_task(shown, total=steps)

    def step_done(self, name: str, step: int) -> bool:
        """See `BuildWatcher`."""
        with self._guard:
            if name in self._tasks:
                self._progress.update(self._tasks[name], completed=step + 1)
        return not self._stopped.is_set()

    def phase_finished(self, name: str) -> None:
        """See `BuildWatcher`. Bars at the top stay, the others go."""
        with self._guard:
            task = self._tasks.pop(name, None)
            if task is not None and self._depths[name]:
                self._progress.remove_task(task)


@contextmanager
def _watched(name: str) -> Iterator[Bars]:
    """Bars on standard error. An interrupt ends the build at its next step: TensorRT would not
    notice it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        progress.console.print(f"building {name}", highlight=False, markup=False)
        bars = Bars(progress)

        def interrupted(number: int, frame: FrameType | None) -> None:
            bars.stop()

        before = signal.signal(signal.SIGINT, interrupted)
        try:
            yield bars
        finally:
            signal.signal(signal.SIGINT, before)
