"""The commands; what they do is imported when they are called."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline import __version__
from pipeline.cli import batch_request, bench_request, tail_request, verify_request
from pipeline.cli import detect as detecting
from pipeline.cli.command import command
from pipeline.cli.evaluate_tracking import evaluate_tracking
from pipeline.cli.model import app as model_app
from pipeline.cli.options import Config, Overrides, Quiet
from pipeline.cli.schema import schema
from pipeline.cli.spool import app as spool_app
from pipeline.cli.tracks import app as tracks_app

app = typer.Typer(
    name="eyrie",
    help="Streaming video analytics: video in, tracked detections out.",
    epilog="Exit codes: 0 all well, 1 a stream or sink failed, 2 wrong usage, 3 could not start or "
    "go on, 130 aborted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (model_app, spool_app, tracks_app):
    app.add_typer(group)


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"eyrie {__version__}")
        raise typer.Exit


@command(app)
def demo(
    out: Annotated[Path, typer.Option(help="Folder for videos and messages.")] = Path("demo"),
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Length of each camera.")] = 20,
    quiet: Quiet = False,
) -> int:
    """Draw three street cameras, analyse them, and compare with the truth. Needs nothing."""
    from pipeline.cli.demo import run_demo

    return run_demo(out, seconds, quiet)


@command(app)
def run(
    config: Config,
    overrides: Overrides = None,
    keep_running: Annotated[
        bool, typer.Option("--keep-running", help="Wait for new streams when all have ended.")
    ] = False,
    quiet: Quiet = False,
) -> int:
    """Run a configuration until its streams end, or for ever.

    SIGTERM or Ctrl-C drains, SIGHUP reads the streams again.
    """
    from pipeline.cli.run import run_file

    return run_file(config, overrides or (), quiet, keep_running)


@command(app)
def detect(request: detecting.Request) -> int:
    """Detect and track in files, folders, pictures and cameras."""
    from pipeline.cli.run import run_pipeline

    return run_pipeline(detecting.configure(request), request.quiet)


@command(app)
def batch(request: batch_request.Request) -> int:
    """Analyse thousands of files, once each. Ctrl-C or a kill at any point: --resume goes on."""
    from pipeline.cli.batch import run_batch

    return run_batch(request)


@command(app)
def bench(request: bench_request.Request) -> int:
    """Measure decoding, engine, pipeline and other people's loops, in turns, on this machine."""
    from pipeline.cli.bench import run_bench

    return run_bench(request)


@command(app)
def check(config: Config, overrides: Overrides = None) -> int:
    """Probe sources, model and brokers of a configuration. Exits with 1 if something is wrong."""
    from pipeline.cli.check import run_check
    from pipeline.config.file import load_config

    return run_check(load_config(config, overrides or ()))


@command(app)
def tail(request: tail_request.Request) -> int:
    """Show messages of a topic, a Redis stream or a file. Passwords come from EYRIE_PASSWORD."""
    from pipeline.cli.tail import run_tail

    return run_tail(request)


@command(app)
def verify(request: verify_request.Request) -> int:
    """Prove that nothing is missing, and nothing twice without a reason. Exits with 1 if not."""
    from pipeline.cli.verify import run_verify

    return run_verify(request)


command(app)(schema)
command(app)(evaluate_tracking)
