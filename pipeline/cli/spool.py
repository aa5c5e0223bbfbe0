"""`eyrie spool`: what waits on disk for its receivers."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.faults import guarded

if TYPE_CHECKING:
    from sinks.spool.survey import SpoolState

app = typer.Typer(
    name="spool", help="Messages that wait on disk for their receivers.", no_args_is_help=True
)


@app.callback()
def _root() -> None:
    """A group, although it has one command."""


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(help="The spool.folder of the configuration.")] = Path(
        ".eyrie/spool"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
) -> None:
    """What waits for each sink, how old it is, what was refused, and what was damaged."""
    guarded(lambda: run_show(folder, as_json))


def run_show(folder: Path, as_json: bool) -> int:
    """Print what the spools in `folder` hold: the exit code."""
    from pipeline.core.errors import ConfigError
    from sinks.spool.survey import survey

    try:
        states = survey(folder)
    except OSError as error:
        why = f"{error.strerror or error}: name the spool.folder of the configuration"
        raise ConfigError("", f"{folder}: {why}") from error
    if as_json:
        typer.echo(json.dumps([asdict(state) for state in states], indent=2))
    else:
        _print(folder, states)
    return 0


def _print(folder: Path, states: "list[SpoolState]") -> None:
    from rich.console import Console
    from rich.table import Table

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
    Console().print(table)
