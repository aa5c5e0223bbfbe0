"""`eyrie spool show`: what waits in each spool."""

import json
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from pipeline.core.errors import ConfigError
from sinks.spool.survey import SpoolState, survey


def surveyed(folder: Path) -> list[SpoolState]:
    """The spools in `folder`. Raises `ConfigError` where it cannot be read."""
    try:
        return survey(folder)
    except OSError as error:
        why = f"{error.strerror or error}: name the spool.folder of the configuration"
        raise ConfigError("", f"{error.filename or folder}: {why}") from error


def run_show(folder: Path, as_json: bool) -> int:
    """Print what the spools in `folder` hold: the exit code."""
    states = surveyed(folder)
    if as_json:
        typer.echo(json.dumps([asdict(state) for state in states], indent=2))
    else:
        _print(folder, states)
    return 0


def _print(folder: Path, states: list[SpoolState]) -> None:
    table = Table(title=f"Spools in {folder}", title_justify="left")
    for column in ("sink", "waiting", "MB", "oldest", "dead letters", "damaged files", "in use by"):
        table.add_column(column, justify="left" if column in ("sink", "oldest") else "right")
    for state in states:
        table.add_row(
            state.sink,
            f"{state.waiting}",
            f"{state.bytes / 1e6:.1f}",
            state.oldest or "–",
            f"{state.dead_letters}",
            f"{state.damaged_files}",
            f"process {state.owner}" if state.owner else "nobody",
        )
    console = Console()
    console.print(table)
    for state in states:
        for name in state.foreign:
            path = str(folder / state.sink / name)
            console.print(f"not of Eyrie, left alone: {path!r}", markup=False, soft_wrap=True)
