"""The options of `eyrie model train`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import (
    AcceptLicence,
    Changes,
    Data,
    Device,
    Epochs,
    EvaluateEvery,
    LearningRate,
    Pictures,
    Quiet,
    Sha256,
    StopAt,
    Threads,
    Workers,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is trained, on which data and by which recipe; None where that is not asked for."""

    out: Annotated[Path, typer.Option(help="Folder of the run.")]
    data: Data = None
    recipe: Annotated[
        str | None, typer.Option(help="eyrie, coco or finetune (default with --from).")
    ] = None
    variant: Annotated[str | None, typer.Option(help="yolo_nas_n, _s, _m or _l.")] = None
    start: Annotated[
        str | None, typer.Option("--from", help="A checkpoint to begin from: path, name or URL.")
    ] = None
    accept_licence: AcceptLicence = False
    sha256: Sha256 = None
    classes: Annotated[
        str | None, typer.Option(help="Names, by commas; else those of the data.")
    ] = None
    freeze: Annotated[
        str | None, typer.Option(help="Parts that stay as they are, such as backbone,neck.")
    ] = None
    pictures: Pictures = None
    epochs: Epochs = None
    batch: Annotated[
        int | None, typer.Option(min=1, help="Pictures of a gradient, over all processes.")
    ] = None
    accumulate: Annotated[int | None, typer.Option(min=1, help="Gradients of a step.")] = None
    lr: LearningRate = None
    warmup: Annotated[int | None, typer.Option(min=0, help="Pictures.")] = None
    sizes: Annotated[
        str | None, typer.Option(help="Side in pixels, or PROGRESS:SIDE,… such as 0:256,0.6:320.")
    ] = None
    weight_decay: Annotated[float | None, typer.Option(min=0, help="Of kernels.")] = None
    ema: Annotated[
        float | None, typer.Option(min=0, max=1, help="Limit of the moving average's decay.")
    ] = None
    changes: Changes = None
    teacher: Annotated[str | None, typer.Option(help="A model file to distil from.")] = None
    distill_weight: Annotated[
        float | None, typer.Option(min=0, help="Of the teacher's part of the loss.")
    ] = None
    seed: Annotated[int | None, typer.Option(help="Of weights, draws and augmentation.")] = None
    float32: Annotated[
        bool, typer.Option("--float32", help="No reduced precision in the network.")
    ] = False
    device: Device = "auto"
    threads: Threads = 0
    workers: Workers = 1
    evaluate_s: EvaluateEvery = 720.0
    log_steps: Annotated[int, typer.Option(min=1, help="Steps between lines of the log.")] = 20
    stop_at: StopAt = None
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False
    quiet: Quiet = False
