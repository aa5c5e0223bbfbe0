"""`eyrie batch` on the terminal: signals, the progress bar, the table, what failed."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from pipeline.batch.folder import REPORT, Folder
from pipeline.batch.inputs import find
from pipeline.batch.progress import Account
from pipeline.batch.report import Totals, write_report
from pipeline.batch.run import Batch, Outcome
from pipeline.batch.settings import load
from pipeline.batch.worker import MakeDetector, Orders, make_batch_detector
from pipeline.cli.batch_request import Request
from pipeline.core.log import one_line

_ABORTED = 130
_MOST_COMPLAINTS = 20
_SPEED_OVER_S = 300  # files differ: a rate of the last seconds would make the time left jump


def run_batch(request: Request, make: MakeDetector = make_batch_detector) -> int:
    """Analyse, report: the exit code. `make` gives each worker its detector."""
    settings = load(request.config, request.overrides or (), request.options)
    inputs = find(request.source)
    workers = request.workers or len(os.sched_getaffinity(0))
    with closing(Folder.open(request.out, request.resume or request.retry_failed)) as folder:
        batch = Batch(
            folder,
            inputs,
            Orders(settings, make, os.getpid()),
            workers=workers,
            retry_failed=request.retry_failed,
        )
        with _stopped_by_signals(batch), _Bar(request.quiet) as bar:
            outcome = batch.run(bar.show)
        write_report(folder.path / REPORT, outcome, workers)
    return _finish(outcome, request)


@contextmanager
def _stopped_by_signals(batch: Batch) -> Iterator[None]:
    """SIGINT and SIGTERM stop the batch, once or many times."""

    def stop(number: int, frame: FrameType | None) -> None:
        batch.stop()

    before = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Bar:
    """Frames, files and the time left, on standard error."""

    def __init__(self, quiet: bool) -> None:
        columns = (
            TextColumn("{task.fields[files]}"),
            BarColumn(),
            TextColumn("{task.fields[frames]}"),
            TextColumn("{task.fields[speed]}", style="cyan"),
            TimeRemainingColumn(),
        )
        self._progress = Progress(
            *columns,
            console=Console(stderr=True),
            disable=quiet,
            speed_estimate_period=_SPEED_OVER_S,
        )
        self._task = self._progress.add_task("", total=None, files="", frames="", speed="")
        self._before: int | None = None

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, account: Account) -> None:
        """Move the bar. What an earlier run has done counts as done, and not for the speed."""
        if self._before is None and account.files:
            self._before = account.frames
            self._progress.reset(self._task, completed=account.frames)
        over = account.done + account.failed
        failed = f", {account.failed} failed" if account.failed else ""
        expected = account.frames_expected
        fps = self._progress.tasks[0].speed or 0.0
        self._progress.update(
            self._task,
            completed=account.frames,
            total=expected,
            files=f"{over}/{account.files} files{failed}",
            frames=f"{account.frames}/{'?' if expected is None else f'~{expected}'} frames",
            speed=f"{fps:.1f} fps",
        )


def _finish(outcome: Outcome, request: Request) -> int:
    totals = Totals.of(outcome.rows)
    if not request.quiet:
        _print(totals, outcome, Console())
    complaints = Console(stderr=True, highlight=False, soft_wrap=True)
    failed = [row for row in outcome.rows if row.state == "failed"]
    for row in failed[:_MOST_COMPLAINTS]:
        complaints.print(f"eyrie: {one_line(row.path)}: {row.reason}", markup=False)
    if len(failed) > _MOST_COMPLAINTS:
        more = len(failed) - _MOST_COMPLAINTS
        complaints.print(f"eyrie: {more} more failed: see {request.out / REPORT}", markup=False)
    if outcome.stopped:
        left = f"{totals.waiting} of {totals.files} files are left" if totals.files else "stopped"
        complaints.print(f"eyrie: {left}: go on with --resume", markup=False)
        return _ABORTED
    return 1 if failed else 0


def _print(totals: Totals, outcome: Outcome, console: Console) -> None:
    table = Table(title="Batch", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    found = ", ".join(f"{label} {count}" for label, count in totals.detections.most_common())
    table.add_row("files done", f"{totals.done}")
    table.add_row("files failed", f"{totals.failed}")
    if totals.waiting:
        table.add_row("files waiting", f"{totals.waiting}")
    table.add_row("frames", f"{totals.frames}")
    table.add_row("messages", f"{totals.messages}")
    table.add_row("detections", found or "–")
    table.add_row("video", f"{totals.video_s:.1f} s")
    table.add_row("work", f"{totals.work_s:.1f} s of workers")
    if totals.work_s > 0:
        fps, times = totals.frames / totals.work_s, totals.video_s / totals.work_s
        table.add_row("speed of a worker", f"{fps:.1f} fps, {times:.2f} × real time")
    table.add_row("this run", f"{outcome.elapsed_s:.1f} s")
    console.print(table)
