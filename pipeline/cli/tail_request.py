"""The options of `eyrie tail`."""

from dataclasses import dataclass
from typing import Annotated

import typer

from pipeline.cli.options import Address, Streams


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Where messages are read, from when on, and which of them are shown."""

    url: Address
    streams: Streams = None
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--kind", help="Only these: frame, event, track_end, stream_status, end_of_stream."
        ),
    ] = None
    classes: Annotated[
        str | None, typer.Option("--class", help="Only about these classes, such as person,car.")
    ] = None
    since: Annotated[
        str | None,
        typer.Option(help="oldest, newest, 10m, or a time (default: newest; oldest if no follow)."),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Messages as they are, one a line.")] = (
        False
    )
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Wait for more, or end at the end.")
    ] = True
