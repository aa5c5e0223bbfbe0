"""Running a pipeline from the command line: signals, progress, the table at the end."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from pipeline.account import Report
from pipeline.cli.faults import in_one_line
from pipeline.cli.report import print_report
from pipeline.config import JsonLinesSinkConfig, PipelineConfig, StreetSourceConfig
from pipeline.config.file import load_config
from pipeline.core.log import get_logger
from pipeline.memory import share_one_heap
from pipeline.run.runner import Pipeline

log = get_logger(__name__)

_REFRESH_S = 0.2
_ABORTED = 130


ReadAgain = Callable[[], PipelineConfig]


def run_file(path: Path, overrides: Sequence[str], quiet: bool, keep_running: bool) -> int:
    """Run a configuration as `run_pipeline`, with a SIGHUP that reads it again."""

    def read() -> PipelineConfig:
        return load_config(path, overrides)

    return run_pipeline(read(), quiet, read, keep_running)


def run_pipeline(
    config: PipelineConfig,
    quiet: bool,
    read_again: ReadAgain | None = None,
    keep_running: bool = False,
) -> int:
    """Run to the end, print the table: the exit code. `read_again` gives the configuration anew,
    or raises `ConfigError`; with it, SIGHUP changes the streams."""
    outcome = asyncio.run(run(config, quiet, read_again, keep_running))
    return finish(outcome, _table_console(config), quiet)


def finish(outcome: "Outcome", console: Console, quiet: bool) -> int:
    """Print the table and what went wrong: the exit code."""
    complaints = Console(stderr=True, highlight=False, soft_wrap=True)
    if outcome.report is None:
        complaints.print("eyrie: stopped before it had started")
        return _ABORTED
    if not quiet:
        print_report(outcome.report, console)
    for error in outcome.report.errors:
        complaints.print(f"eyrie: {error}", markup=False)
    for note in outcome.report.notes:
        complaints.print(f"eyrie: warning: {note}", markup=False)
    if outcome.aborted:
        return _ABORTED
    return 1 if outcome.report.errors else 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: its account, None if it never started, and whether it was aborted."""

    report: Report | None
    aborted: bool


async def run(
    config: PipelineConfig,
    quiet: bool,
    read_again: ReadAgain | None = None,
    keep_running: bool = False,
) -> Outcome:
    """Run in this loop with signals and progress."""
    share_one_heap()
    if not quiet:
        _announce_streets(config)
    pipeline = Pipeline(config, keep_running=keep_running)
    with _signals(pipeline) as signals, _hangups(read_again is not None) as hung_up:
        try:
            async with pipeline, _reloading(pipeline, read_again, hung_up):
                done = asyncio.create_task(pipeline.wait())
                with _Bars(quiet) as bars:
                    while not done.done():
                        await asyncio.wait([done], timeout=_REFRESH_S)
                        bars.show(pipeline.report())
                await done
        except asyncio.CancelledError:
            if not signals:
                raise
            return Outcome(None, aborted=True)
    # what closes may fail, too
    return Outcome(pipeline.report(), aborted=len(signals) > 1)


def _announce_streets(config: PipelineConfig) -> None:
    """Say which streams are drawn as a whole before their first frame is there."""
    streets = {s.id: s.source for s in config.streams if isinstance(s.source, StreetSourceConfig)}
    if streets:
        longest_s = max(street.seconds for street in streets.values())
        text = f"drawing {', '.join(streets)}: frames come once all {longest_s:g} s are drawn"
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        console.print(f"{text}, which takes about as long", markup=False)


@contextmanager
def _signals(pipeline: Pipeline) -> Iterator[list[signal.Signals]]:
    """First SIGTERM or SIGINT drains, second aborts; while the run is still opening, the first
    cancels it. Gives the signals that came."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    came: list[signal.Signals] = []

    def on_signal(number: signal.Signals) -> None:
        came.append(number)
        if not pipeline.started and task is not None:
            task.cancel()
        elif len(came) == 1:
            pipeline.drain()
        else:
            pipeline.abort()

    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield came
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


@contextmanager
def _hangups(wanted: bool) -> Iterator[asyncio.Event]:
    """Gives what SIGHUP sets; where it is not wanted, SIGHUP ends the process as ever."""
    loop, came = asyncio.get_running_loop(), asyncio.Event()
    if wanted:
        loop.add_signal_handler(signal.SIGHUP, came.set)
    try:
        yield came
    finally:
        if wanted:
            loop.remove_signal_handler(signal.SIGHUP)


@asynccontextmanager
async def _reloading(
    pipeline: Pipeline, read_again: ReadAgain | None, hung_up: asyncio.Event
) -> AsyncIterator[None]:
    """Meanwhile, every SIGHUP reads the configuration again; one that came while the run was
    opening does so now."""

    async def reload_for_ever(read: ReadAgain) -> None:
        while await hung_up.wait():
            hung_up.clear()
            await _reload(pipeline, read)

    if read_again is None:
        yield
        return
    task = asyncio.create_task(reload_for_ever(read_again))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _reload(pipeline: Pipeline, read_again: ReadAgain) -> None:
    try:
        changes = await pipeline.reload(await asyncio.to_thread(read_again))
    except Exception as error:  # noqa: BLE001 - the run goes on, whatever is in the file
        log.error("SIGHUP: %s", in_one_line(error))
        return
    if changes.refused:
        keys = ", ".join(changes.refused)
        log.warning("SIGHUP: only streams change in a run; restart it for the change of %s", keys)
    # a warning, for it is the answer to who sent the signal, and INFO is not shown
    log.warning("SIGHUP: %s", changes)


class _Rate(ProgressColumn):
    """Frames a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:6.1f} fps", style="cyan")


class _Bars:
    """One progress bar per stream, on standard error."""

    def __init__(self, quiet: bool) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.fields[of]} frames"),
            _Rate(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=Console(stderr=True), disable=quiet)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "_Bars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, report: Report) -> None:
        """Move the bars."""
        for stream in report.streams:
            if stream.stream_id not in self._tasks:
                self._tasks[stream.stream_id] = self._progress.add_task(
                    stream.stream_id, total=None, of="?"
                )
            total = stream.frames_expected
            self._progress.update(
                self._tasks[stream.stream_id],
                completed=stream.decoded,
                total=total,
                of="?" if total is None else str(total),
            )


def _table_console(config: PipelineConfig) -> Console:
    """Standard output, unless messages go there."""
    taken = any(isinstance(s, JsonLinesSinkConfig) and s.path == "-" for s in config.sinks)
    return Console(stderr=taken)
