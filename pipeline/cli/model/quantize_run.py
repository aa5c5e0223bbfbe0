"""Quantization from the command line: progress, the search, what to say of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from detectors.engines.open import EngineOptions
from detectors.quantize.frontier import LABELS
from detectors.quantize.hybrid import Outcome, Watch
from detectors.quantize.hybrid_file import SUBSET, Plan, hybrid_file
from detectors.quantize.post_training import PICTURES, quantize_file
from detectors.quantize.selection import Candidate
from detectors.yolo_nas.detector import resolve
from pipeline.cli.model.quantize_request import Request

SHOWN_LAYERS = 20


def run_quantize(request: Request) -> int:
    """Quantize as asked, say what became of it; 0. Raises what `guarded` makes one line of."""
    source = resolve(request.model)
    out = request.target(source)
    if request.max_drop is None:
        return _in_full(request, source, out)
    plan = _plan(request, source, out)
    try:
        with _progress(request.quiet) as watch:
            outcome = hybrid_file(plan, request.max_drop, watch)
    except KeyboardInterrupt:
        typer.echo(f"eyrie: interrupted; {_way_on(plan.journal_file)}", err=True)
        raise
    _tell(outcome, Console(quiet=request.quiet, highlight=False))
    typer.echo(f"{out}: {_summary(outcome)}, {_size(out)}")
    typer.echo(f"beside it: {plan.report_file.name}, {plan.plot_file.name}")
    return 0


def _way_on(journal: Path) -> str:
    if journal.is_file():
        return f"the same command goes on from {journal}"
    return "nothing was measured yet"


def _in_full(request: Request, source: Path, out: Path) -> int:
    """Everything in 8 bits but the prediction layers and what is too noisy."""
    with _progress(request.quiet) as watch:
        most = request.pictures or PICTURES
        count = quantize_file(
            source,
            request.calibrate,
            out,
            pictures=request.pictures,
            method=request.method,
            seed=request.seed,
            done=lambda done: watch("calibration", done, max(done, most)),
        )
    typer.echo(f"{out}: {count} convolutions in 8 bits, {_size(out)}")
    return 0


def _plan(request: Request, source: Path, out: Path) -> Plan:
    options = EngineOptions(engine=request.engine or "onnxruntime", threads=request.threads or 0)
    return Plan(
        source=source,
        out=out,
        calibrate=request.calibrate,
        validate=request.validate,
        subset=request.subset or SUBSET,
        pictures=request.pictures,
        method=request.method,
        seed=request.seed,
        options=options,
    )


@contextmanager
def _progress(quiet: bool) -> Iterator[Watch]:
    """A bar for each stage, on standard error where that is a terminal."""
    console = Console(stderr=True)
    disable = quiet or not console.is_terminal
    columns = TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=disable) as progress:
        tasks = {}

        def watch(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total)
            progress.update(tasks[stage], completed=done, total=total)

        yield watch


def _tell(outcome: Outcome, console: Console) -> None:
    console.print(_forms(outcome))
    if outcome.chosen.left:
        console.print(_layers(outcome))


def _forms(outcome: Outcome) -> Table:
    """The known forms and the chosen one, the slowest first."""
    table = Table(
        title=f"AP on {outcome.device}, {outcome.engine}", title_justify="left", box=SIMPLE_HEAD
    )
    table.add_column("form")
    for head in ("AP 50:95", "lost", "ms", "layers in float"):
        table.add_column(head, justify="right")
    rows = {LABELS[name]: one for name, one in outcome.known.items()} | {"chosen": outcome.chosen}
    for label, one in sorted(rows.items(), key=lambda row: -row[1].ms):
        points = outcome.fp32_points - one.drop
        style = "bold" if label == "chosen" else None
        cells = (f"{points:.2f}", f"{one.drop:.2f}", f"{one.ms:.2f}", f"{len(one.left)}")
        table.add_row(label, *cells, style=style)
    return table


def _layers(outcome: Outcome) -> Table:
    """The layers that stay in float, the most sensitive first."""
    table = Table(title="Left in float", title_justify="left", box=SIMPLE_HEAD)
    table.add_column("layer", overflow="fold")
    table.add_column("error when quantized", justify="right")
    table.add_column("ms more in float", justify="right")
    left = [layer for layer in outcome.layers if layer.name in outcome.chosen.left]
    left.sort(key=lambda layer: -layer.error)
    for layer in left[:SHOWN_LAYERS]:
        cost = "–" if layer.cost_ms != layer.cost_ms else f"{layer.cost_ms:+.3f}"
        table.add_row(layer.name, f"{layer.error:.2e}", cost)
    if len(left) > SHOWN_LAYERS:
        table.add_row(f"… and {len(left) - SHOWN_LAYERS} more", "", "")
    return table


def _summary(outcome: Outcome) -> str:
    chosen, fp32 = outcome.chosen, outcome.known["fp32"]
    layers = f"{len(outcome.layers) - len(chosen.left)} convolutions in 8 bits"
    return f"{layers}, {chosen.drop:.2f} points lost, {_times(chosen, fp32)} as fast as FP32"


def _times(one: Candidate, fp32: Candidate) -> str:
    return f"{fp32.ms / one.ms:.2f} times"


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.2f} MB"
