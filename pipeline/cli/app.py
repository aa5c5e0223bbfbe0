"""Commands and their options; what they do is imported when they are called."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from detectors.base import Precision
from detectors.engines.options import EngineChoice
from pipeline.cli.evaluate_tracking import evaluate_tracking
from pipeline.cli.faults import guarded
from pipeline.cli.model import app as model_app
from pipeline.cli.spool import app as spool_app
from pipeline.cli.tracks import app as tracks_app
from stages.base import Hwaccel

if TYPE_CHECKING:
    from pipeline.config import PipelineConfig

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

Config = Annotated[Path, typer.Argument(help="A YAML file; see configs/README.md.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change one key, such as sinks.0.topic=x. Repeatable."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no table.")]

app.add_typer(model_app)
app.add_typer(spool_app)
app.add_typer(tracks_app)
app.command("evaluate-tracking")(evaluate_tracking)


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from pipeline import __version__

        typer.echo(f"eyrie {__version__}")
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for videos and messages.")] = Path("demo"),
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Length of each camera.")] = 20,
    quiet: Quiet = False,
) -> None:
    """Draw three street cameras, analyse them, and compare with the truth. Needs nothing."""
    from pipeline.cli.demo import run_demo

    guarded(lambda: run_demo(out, seconds, quiet))


@app.command()
def run(
    config: Config,
    overrides: Overrides = None,
    keep_running: Annotated[
        bool, typer.Option("--keep-running", help="Wait for new streams when all have ended.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Run a configuration until its streams end, or for ever. SIGTERM or Ctrl-C drains, SIGHUP
    reads the streams again."""
    from pipeline.cli.run import run_pipeline
    from pipeline.config_file import load_config

    def read() -> "PipelineConfig":
        return load_config(config, overrides or ())

    guarded(lambda: run_pipeline(read(), quiet, read, keep_running))


@app.command()
def detect(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Files, folders, globs, pictures, rtsp://…, http://…, /dev/video0, watch:FOLDER, "
            "street:SEED, or - for standard input."
        ),
    ],
    model: Annotated[
        str, typer.Option(help="A bundled model, or an ONNX file that Eyrie exported.")
    ] = "yolo_nas_n_int8",
    engine: Annotated[
        EngineChoice, typer.Option(help="The runtime; auto: the best here.")
    ] = "auto",
    precision: Annotated[
        Precision | None, typer.Option(help="What must run (default: what the model is made for).")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for NAME.jsonl and NAME.mp4 (default: out, unless --sink)."),
    ] = None,
    sink: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Where messages go, such as kafka://HOST:PORT/TOPIC. Repeatable; see docs/cli.md.",
        ),
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Keep only these, such as person,car.")
    ] = None,
    conf: Annotated[float, typer.Option(min=0, max=1, help="Least score of a detection.")] = 0.25,
    fps: Annotated[
        float | None, typer.Option(min=0.001, help="Analyse at most N frames a second.")
    ] = None,
    max_frames: Annotated[
        int | None, typer.Option(min=1, help="End each stream after N frames.")
    ] = None,
    hwaccel: Annotated[
        Hwaccel, typer.Option(help="Device that decodes; see docs/cli.md.")
    ] = "none",
    live: Annotated[
        bool, typer.Option("--live", help="http://… and - are live: never made to wait.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Detect and track in files, folders, pictures and cameras."""
    from pipeline.cli.detect import Request, configure
    from pipeline.cli.run import run_pipeline

    request = Request(
        tuple(sources), model, engine, precision, out, tuple(sink or ()), classes, conf, fps,
        max_frames, hwaccel, live,
    )  # fmt: skip
    guarded(lambda: run_pipeline(configure(request), quiet))


@app.command()
def batch(
    source: Annotated[str, typer.Argument(help="A folder of videos, a glob, or one video.")],
    out: Annotated[Path, typer.Option(help="Folder for messages, manifest and report.")],
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes, each with a model (default: one a core).")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the batch in --out, or begin it.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="As --resume, and try failed files once more.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(help="A YAML file with model, tracking, fps, lines and so on.")
    ] = None,
    overrides: Overrides = None,
    model: Annotated[
        str | None, typer.Option(help="A bundled model, or an ONNX file that Eyrie exported.")
    ] = None,
    engine: Annotated[
        EngineChoice | None, typer.Option(help="The runtime; auto: the best here.")
    ] = None,
    precision: Annotated[
        Precision | None, typer.Option(help="What must run (default: what the model is made for).")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Keep only these, such as person,car.")
    ] = None,
    conf: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least score of a detection.")
    ] = None,
    fps: Annotated[
        float | None, typer.Option(min=0.001, help="Analyse at most N frames a second.")
    ] = None,
    max_frames: Annotated[
        int | None, typer.Option(min=1, help="End each file after N frames.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Analyse thousands of files, once each. Ctrl-C or a kill at any point: --resume goes on."""

    def work() -> int:
        from pipeline.cli.batch import Request, run_batch

        request = Request(
            source, out, workers, resume, retry_failed, config, tuple(overrides or ()),
            model, engine, precision, classes, conf, fps, max_frames, quiet,
        )  # fmt: skip
        return run_batch(request)

    guarded(work)


@app.command()
def bench(
    out: Annotated[Path, typer.Option(help="Folder for bench.json, bench.md, plots and clips.")] = (
        Path("bench")
    ),
    only: Annotated[
        str | None,
        typer.Option(help="Of decode,prepare,engine,no_model,pipeline,live,peers (default: all)."),
    ] = None,
    streams: Annotated[str, typer.Option(help="Numbers of streams; the first is the base.")] = "1",
    sizes: Annotated[str, typer.Option("--size", help="Sizes of pictures.")] = "1920x1080",
    batches: Annotated[str, typer.Option("--batch", help="Largest batches.")] = "4",
    detections: Annotated[
        str, typer.Option(help="Detections in each frame, where no model runs.")
    ] = "0",
    frames: Annotated[
        int, typer.Option(min=25, help="Frames of a round, of all streams together.")
    ] = 300,
    live_s: Annotated[
        float, typer.Option("--live-seconds", min=3, help="How long cameras send in a round.")
    ] = 8,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of every case.")] = 5,
    limit_s: Annotated[
        float, typer.Option("--limit", min=1, help="Seconds for one start or one turn.")
    ] = 120,
    model: Annotated[
        str, typer.Option(help="A bundled model, or an ONNX file that Eyrie exported.")
    ] = "yolo_nas_n_int8",
    threads: Annotated[int, typer.Option(min=0, help="Of engines, for a batch; 0: all.")] = 0,
    clip: Annotated[
        Path | None, typer.Option(help="A video for all streams, in place of one that is made.")
    ] = None,
    overrides: Overrides = None,
    peers: Annotated[
        Path | None, typer.Option(help="Folder of other loops to compare with.")
    ] = None,
    peer_models: Annotated[
        str, typer.Option(help="What peers run: of stored,rewritten,fp32.")
    ] = "stored",
    environments: Annotated[
        Path, typer.Option(help="Folder for the environments of peers.")
    ] = Path("build/peers"),
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Install the peers, and measure nothing.")
    ] = False,
    profile: Annotated[
        bool,
        typer.Option(
            "--profile", help="One more run, sampled: CPU by stage; NAME.speedscope.json."
        ),
    ] = False,
    plots: Annotated[bool, typer.Option("--plots", help="Draw PNG files; needs matplotlib.")] = (
        False
    ),
    quiet: Quiet = False,
) -> None:
    """Measure decoding, engine, pipeline and other people's loops, in turns, on this machine."""

    def work() -> int:
        from pipeline.cli.bench import Request, run_bench

        request = Request(
            out, only, streams, sizes, batches, detections, frames, live_s, rounds, limit_s, model,
            threads, clip, tuple(overrides or ()), peers, peer_models, environments, prepare,
            profile, plots, quiet,
        )  # fmt: skip
        return run_bench(request)

    guarded(work)


@app.command()
def check(config: Config, overrides: Overrides = None) -> None:
    """Probe sources, model and brokers of a configuration. Exits with 1 if something is wrong."""
    from pipeline.cli.check import run_check
    from pipeline.config_file import load_config

    guarded(lambda: run_check(load_config(config, overrides or ())))


Address = Annotated[
    str,
    typer.Argument(
        help="kafka://HOST:PORT/TOPIC, redis://HOST:PORT/0?stream=NAME, or file:PATH.jsonl."
    ),
]
Streams = Annotated[
    list[str] | None, typer.Option("--stream", help="Only of this stream. Repeatable.")
]


@app.command()
def tail(
    url: Address,
    stream: Streams = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Only these: frame, event, track_end, stream_status, end_of_stream."),
    ] = None,
    classes: Annotated[
        str | None, typer.Option("--class", help="Only about these classes, such as person,car.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="oldest, newest, 10m, or a time (default: newest; oldest if no follow)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Messages as they are, one a line.")] = (
        False
    ),
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Wait for more, or end at the end.")
    ] = True,
) -> None:
    """Show messages of a topic, a Redis stream or a file. Passwords come from EYRIE_PASSWORD."""
    from pipeline.cli.tail import Request, run_tail

    names = tuple(name.strip() for name in (classes or "").split(",") if name.strip())
    request = Request(
        url, tuple(stream or ()), tuple(kind or ()), names, since, as_json, follow
    )  # fmt: skip
    guarded(lambda: run_tail(request))


@app.command()
def verify(
    url: Address,
    run_id: Annotated[
        list[str] | None, typer.Option("--run", help="Only of this run. Repeatable.")
    ] = None,
    stream: Streams = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="What the sink is given, where it is not every kind. Repeatable."),
    ] = None,
    dead_letters: Annotated[
        list[Path] | None,
        typer.Option(help="A file of dead letters, or the spool's folder. Repeatable."),
    ] = None,
    trimmed: Annotated[
        bool, typer.Option("--trimmed", help="The oldest messages may have been deleted.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Validate every message, not one of 100.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Prove that nothing is missing, and nothing twice without a reason. Exits with 1 if not."""
    from pipeline.cli.verify import Request, run_verify

    request = Request(
        url, tuple(run_id or ()), tuple(stream or ()), tuple(kind or ()),
        tuple(dead_letters or ()), trimmed, strict, as_json,
    )  # fmt: skip
    guarded(lambda: run_verify(request))


@app.command()
def schema(
    form: Annotated[
        Literal["json", "avro"],
        typer.Option("--format", help="JSON Schema, or the Avro schema of the compact form."),
    ] = "json",
) -> None:
    """Print the JSON Schema of the messages."""
    from pipeline.core.avro_schema import avro_schema
    from pipeline.core.messages import json_schema

    def show() -> int:
        print(json.dumps(json_schema() if form == "json" else avro_schema(), indent=2))
        return 0

    guarded(show)
