"""`eyrie model qat`: its options. What they ask for is in `qat_run.py`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.cli.faults import guarded
from pipeline.cli.model.options import AcceptLicence, Sha256


def qat(
    out: Annotated[Path, typer.Option(help="The INT8 file to write.")],
    checkpoint: Annotated[
        str | None,
        typer.Argument(help="A .pth file, its URL, or a name; left out with --resume."),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH[:SHARE]",
            help="Pictures with boxes, their share of draws. Repeatable.",
        ),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Folder of the run (default: OUT without its suffix).")
    ] = None,
    calibrate: Annotated[
        str | None,
        typer.Option(
            metavar="LOCATION",
            help="Data whose training pictures show the ranges (default: the first --data).",
        ),
    ] = None,
    calibration_pictures: Annotated[
        int | None, typer.Option(min=1, help="Calibrate on N pictures (default: 200).")
    ] = None,
    method: Annotated[
        Literal["max", "percentile", "mse", "entropy"],
        typer.Option(help="How a range is chosen."),
    ] = "mse",
    skip: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART",
            help="Convolutions with it in their name stay float; none: all in 8 bits. Repeatable.",
        ),
    ] = None,
    learn_amax: Annotated[
        bool, typer.Option("--learn-amax", help="Learn ranges with the weights; half the batch.")
    ] = False,
    recipe: Annotated[
        str, typer.Option(help="The recipe to derive from: eyrie, coco or finetune.")
    ] = "finetune",
    pictures: Annotated[int | None, typer.Option(min=1, help="The budget, in pictures.")] = None,
    epochs: Annotated[
        float | None, typer.Option(min=0, help="The budget, in passes over the data.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Pictures of a gradient.")] = None,
    lr: Annotated[float | None, typer.Option(min=0, help="Learning rate after warm-up.")] = None,
    size: Annotated[
        int | None, typer.Option(help="Side in pixels (default: the checkpoint's).")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another value of the recipe. Repeatable."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of draws and augmentation.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="0: as many as there are cores.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that make batches.")] = 1,
    evaluate_s: Annotated[
        float, typer.Option(min=0, help="Seconds between evaluations on val.")
    ] = 720.0,
    stop_at: Annotated[
        int | None, typer.Option(min=1, help="Stop after this step, to go on later.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --run.")] = False,
    accept_licence: AcceptLicence = False,
    sha256: Sha256 = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no table.")] = False,
) -> None:
    """Train a checkpoint on with fake quantization, and write it as INT8."""

    def work() -> int:
        from pipeline.cli.model.qat_run import QatRequest, run_qat

        return run_qat(
            QatRequest(
                checkpoint=checkpoint,
                out=out,
                data=tuple(data or ()),
                run=run or out.with_suffix(""),
                calibrate=calibrate,
                calibration_pictures=calibration_pictures,
                method=method,
                skip=tuple(skip) if skip else None,
                learn_amax=learn_amax,
                recipe=recipe,
                pictures=pictures,
                epochs=epochs,
                batch=batch,
                lr=lr,
                size=size,
                changes=tuple(changes or ()),
                seed=seed,
                device=device,
                threads=threads,
                workers=workers,
                evaluate_s=evaluate_s,
                stop_at=stop_at,
                resume=resume,
                accept_licence=accept_licence,
                sha256=sha256,
                quiet=quiet,
            )
        )

    guarded(work)
