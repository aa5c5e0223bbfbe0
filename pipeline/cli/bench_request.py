"""The options of `eyrie bench`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import Model, Overrides, Quiet


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is measured, how often, against whom, and where it is written."""

    out: Annotated[Path, typer.Option(help="Folder for bench.json, bench.md, plots and clips.")] = (
        Path("bench")
    )
    only: Annotated[
        str | None,
        typer.Option(help="Of decode,prepare,engine,no_model,pipeline,live,peers (default: all)."),
    ] = None
    streams: Annotated[str, typer.Option(help="Numbers of streams; the first is the base.")] = "1"
    sizes: Annotated[str, typer.Option("--size", help="Sizes of pictures.")] = "1920x1080"
    batches: Annotated[str, typer.Option("--batch", help="Largest batches.")] = "4"
    detections: Annotated[
        str, typer.Option(help="Detections in each frame, where no model runs.")
    ] = "0"
    frames: Annotated[
        int, typer.Option(min=25, help="Frames of a round, of all streams together.")
    ] = 300
    live_s: Annotated[
        float, typer.Option("--live-seconds", min=3, help="How long cameras send in a round.")
    ] = 8
    rounds: Annotated[int, typer.Option(min=1, help="Turns of every case.")] = 5
    limit_s: Annotated[
        float, typer.Option("--limit", min=1, help="Seconds for one start or one turn.")
    ] = 120
    model: Model[str] = "yolo_nas_n_int8"
    threads: Annotated[int, typer.Option(min=0, help="Of engines, for a batch; 0: all.")] = 0
    clip: Annotated[
        Path | None, typer.Option(help="A video for all streams, in place of one that is made.")
    ] = None
    overrides: Overrides = None
    peers: Annotated[Path | None, typer.Option(help="Folder of other loops to compare with.")] = (
        None
    )
    peer_models: Annotated[str, typer.Option(help="What peers run: of stored,rewritten,fp32.")] = (
        "stored"
    )
    environments: Annotated[Path, typer.Option(help="Folder for the environments of peers.")] = (
        Path("build/peers")
    )
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Install the peers, and measure nothing.")
    ] = False
    profile: Annotated[
        bool,
        typer.Option(
            "--profile", help="One more run, sampled: CPU by stage; NAME.speedscope.json."
        ),
    ] = False
    plots: Annotated[bool, typer.Option("--plots", help="Draw PNG files; needs matplotlib.")] = (
        False
    )
    quiet: Quiet = False
