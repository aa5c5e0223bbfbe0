"""`eyrie spool`: what waits on disk for its receivers, and what they refused."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.command import command

app = typer.Typer(
    name="spool", help="Messages that wait on disk for their receivers.", no_args_is_help=True
)


Folder = Annotated[Path, typer.Argument(help="The spool.folder of the configuration.")]
AsJson = Annotated[bool, typer.Option("--json", help="The same as JSON.")]
DEFAULT = Path(".eyrie/spool")


@command(app)
def show(folder: Folder = DEFAULT, as_json: AsJson = False) -> int:
    """What waits for each sink, how old it is, what was refused, and what was damaged."""
    from pipeline.cli.spool_show import run_show

    return run_show(folder, as_json)


@command(app)
def dead(
    folder: Folder = DEFAULT,
    sink: Annotated[str | None, typer.Option(help="Only of this sink.")] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Put them back: the next run delivers them.")
    ] = False,
    max_mb: Annotated[
        int, typer.Option(min=1, help="With --replay: the spool.max_mb of the configuration.")
    ] = 1024,
    as_json: AsJson = False,
) -> int:
    """What receivers refused for ever, by reason and stream. --replay sends it once more."""
    from pipeline.cli.dead_letters import run_dead, run_replay

    if replay:
        return run_replay(folder, sink, max_mb, as_json)
    return run_dead(folder, sink, as_json)
