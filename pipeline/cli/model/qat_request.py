"""The options of `eyrie model qat`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.model.train_request import Request as TrainRequest
from pipeline.cli.options import (
    AcceptLicence,
    Changes,
    Data,
    Device,
    Epochs,
    EvaluateEvery,
    LearningRate,
    Method,
    Pictures,
    Quiet,
    Sha256,
    StopAt,
    Threads,
    Workers,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Which checkpoint is trained on in 8 bits, how, and where to; None where not given."""

    out: Annotated[Path, typer.Option(help="The INT8 file to write.")]
    checkpoint: Annotated[
        str | None,
        typer.Argument(help="A .pth file, its URL, or a name; left out with --resume."),
    ] = None
    data: Data = None
    run: Annotated[
        Path | None, typer.Option(help="Folder of the run (default: OUT without its suffix).")
    ] = None
    calibrate: Annotated[
        str | None,
        typer.Option(
            metavar="LOCATION",
            help="Data whose training pictures show the ranges (default: the first --data).",
        ),
    ] = None
    calibration_pictures: Annotated[
        int | None, typer.Option(min=1, help="Calibrate on N pictures (default: 200).")
    ] = None
    method: Method = "mse"
    skip: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART",
            help="Convolutions with it in their name stay float; none: all in 8 bits. Repeatable.",
        ),
    ] = None
    learn_amax: Annotated[
        bool, typer.Option("--learn-amax", help="Learn ranges with the weights; half the batch.")
    ] = False
    recipe: Annotated[
        str, typer.Option(help="The recipe to derive from: eyrie, coco or finetune.")
    ] = "finetune"
    pictures: Pictures = None
    epochs: Epochs = None
    batch: Annotated[int | None, typer.Option(min=1, help="Pictures of a gradient.")] = None
    lr: LearningRate = None
    size: Annotated[
        int | None, typer.Option(help="Side in pixels (default: the checkpoint's).")
    ] = None
    changes: Changes = None
    seed: Annotated[int | None, typer.Option(help="Of draws and augmentation.")] = None
    device: Device = "auto"
    threads: Threads = 0
    workers: Workers = 1
    evaluate_s: EvaluateEvery = 720.0
    stop_at: StopAt = None
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --run.")] = False
    accept_licence: AcceptLicence = False
    sha256: Sha256 = None
    quiet: Quiet = False

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.run or self.out.with_suffix("")

    def of_training(self, class_names: Sequence[str] | None) -> TrainRequest:
        """The same as options of `eyrie model train`."""
        return TrainRequest(
            out=self.folder,
            data=self.data,
            recipe=self.recipe,
            start=self.checkpoint,
            accept_licence=self.accept_licence,
            sha256=self.sha256,
            classes=",".join(class_names) if class_names else None,
            pictures=self.pictures,
            epochs=self.epochs,
            batch=self.batch,
            lr=self.lr,
            sizes=None if self.size is None else str(self.size),
            changes=self.changes,
            seed=self.seed,
            float32=True,  # bfloat16 has as many digits as the grid that is trained for
            device=self.device,
            threads=self.threads,
            workers=self.workers,
            evaluate_s=self.evaluate_s,
            stop_at=self.stop_at,
            resume=self.resume,
            quiet=self.quiet,
        )
