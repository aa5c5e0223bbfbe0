"""`eyrie model train`: its options. What they ask for is in `train_request.py`."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.faults import guarded
from pipeline.cli.model.options import AcceptLicence, Sha256


def train(
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH[:SHARE]",
            help="Pictures with boxes, their share of draws. Repeatable.",
        ),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="eyrie, coco or finetune (default with --from).")
    ] = None,
    variant: Annotated[str | None, typer.Option(help="yolo_nas_n, _s, _m or _l.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="A checkpoint to begin from: path, name or URL.")
    ] = None,
    accept_licence: AcceptLicence = False,
    sha256: Sha256 = None,
    classes: Annotated[
        str | None, typer.Option(help="Names, by commas; else those of the data.")
    ] = None,
    freeze: Annotated[
        str | None, typer.Option(help="Parts that stay as they are, such as backbone,neck.")
    ] = None,
    pictures: Annotated[int | None, typer.Option(min=1, help="The budget, in pictures.")] = None,
    epochs: Annotated[
        float | None, typer.Option(min=0, help="The budget, in passes over the data.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Pictures of a gradient, over all processes.")
    ] = None,
    accumulate: Annotated[int | None, typer.Option(min=1, help="Gradients of a step.")] = None,
    lr: Annotated[float | None, typer.Option(min=0, help="Learning rate after warm-up.")] = None,
    warmup: Annotated[int | None, typer.Option(min=0, help="Pictures.")] = None,
    sizes: Annotated[
        str | None, typer.Option(help="Side in pixels, or PROGRESS:SIDE,… such as 0:256,0.6:320.")
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(min=0, help="Of kernels.")] = None,
    ema: Annotated[
        float | None, typer.Option(min=0, max=1, help="Limit of the moving average's decay.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another value of the recipe. Repeatable."),
    ] = None,
    teacher: Annotated[str | None, typer.Option(help="A model file to distil from.")] = None,
    distill_weight: Annotated[
        float | None, typer.Option(min=0, help="Of the teacher's part of the loss.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, draws and augmentation.")] = None,
    float32: Annotated[
        bool, typer.Option("--float32", help="No reduced precision in the network.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="0: as many as there are cores.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that make batches.")] = 1,
    evaluate_s: Annotated[
        float, typer.Option(min=0, help="Seconds between evaluations on val.")
    ] = 720.0,
    log_steps: Annotated[int, typer.Option(min=1, help="Steps between lines of the log.")] = 20,
    stop_at: Annotated[
        int | None, typer.Option(min=1, help="Stop after this step, to go on later.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no table.")] = False,
) -> None:
    """Train a network: from scratch, from a checkpoint, or on from where a run stopped."""

    def work() -> int:
        from pipeline.cli.model.train_request import Request
        from pipeline.cli.model.train_run import run_training

        request = Request(
            out=out,
            data=tuple(data or ()),
            recipe=recipe,
            variant=variant,
            start=start,
            accept_licence=accept_licence,
            sha256=sha256,
            classes=classes,
            freeze=freeze,
            pictures=pictures,
            epochs=epochs,
            batch=batch,
            accumulate=accumulate,
            lr=lr,
            warmup=warmup,
            sizes=sizes,
            weight_decay=weight_decay,
            ema=ema,
            changes=tuple(changes or ()),
            teacher=teacher,
            distill_weight=distill_weight,
            seed=seed,
            float32=float32,
            device=device,
            threads=threads,
            workers=workers,
            evaluate_s=evaluate_s,
            log_steps=log_steps,
            stop_at=stop_at,
            resume=resume,
            quiet=quiet,
        )
        return run_training(request)

    guarded(work)
