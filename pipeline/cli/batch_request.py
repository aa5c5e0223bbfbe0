"""The options of `eyrie batch`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from detectors.engines.options import EngineChoice
from pipeline.cli.options import (
    Classes,
    Conf,
    Engine,
    Fps,
    Model,
    Overrides,
    Quiet,
    RunPrecision,
    names,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a batch is to analyse, where to, and what to change of the configuration."""

    source: Annotated[str, typer.Argument(help="A folder of videos, a glob, or one video.")]
    out: Annotated[Path, typer.Option(help="Folder for messages, manifest and report.")]
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes, each with a model (default: one a core).")
    ] = None
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the batch in --out, or begin it.")
    ] = False
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="As --resume, and try failed files once more.")
    ] = False
    config: Annotated[
        Path | None, typer.Option(help="A YAML file with model, tracking, fps, lines and so on.")
    ] = None
    overrides: Overrides = None
    model: Model[str | None] = None
    engine: Engine[EngineChoice | None] = None
    precision: RunPrecision = None
    classes: Classes = None
    conf: Conf[float | None] = None
    fps: Fps = None
    max_frames: Annotated[int | None, typer.Option(min=1, help="End each file after N frames.")] = (
        None
    )
    quiet: Quiet = False

    @property
    def options(self) -> dict[str, object]:
        """The options that change a key, by its dotted path."""
        return {
            "model.name": self.model,
            "model.engine": self.engine,
            "model.precision": self.precision,
            "model.classes": names("--classes", self.classes) or None,
            "model.score_threshold": self.conf,
            "fps": self.fps,
            "max_frames": self.max_frames,
        }
