"""The options of `eyrie verify`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import Address, Streams


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Where messages are read, and which of them must be there."""

    url: Address
    runs: Annotated[
        list[str] | None, typer.Option("--run", help="Only of this run. Repeatable.")
    ] = None
    streams: Streams = None
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--kind", help="What the sink is given, where it is not every kind. Repeatable."
        ),
    ] = None
    dead_letters: Annotated[
        list[Path] | None,
        typer.Option(help="A file of dead letters, or the spool's folder. Repeatable."),
    ] = None
    trimmed: Annotated[
        bool, typer.Option("--trimmed", help="The oldest messages may have been deleted.")
    ] = False
    strict: Annotated[
        bool, typer.Option("--strict", help="Validate every message, not one of 100.")
    ] = False
    any_order: Annotated[
        bool, typer.Option("--any-order", help="Messages may come late, as replayed ones do.")
    ] = False
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False
