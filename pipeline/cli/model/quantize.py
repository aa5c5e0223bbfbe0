"""`eyrie model quantize`: an FP32 ONNX file as an INT8 one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.cli.faults import guarded
from pipeline.core.errors import ConfigError

Method = Literal["max", "percentile", "mse", "entropy"]
CpuEngine = Literal["onnxruntime", "openvino"]


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of `eyrie model quantize`, as its help explains them."""

    model: str
    calibrate: str
    out: Path | None
    max_drop: float | None
    validate: str | None
    subset: int | None
    engine: CpuEngine | None
    threads: int | None
    pictures: int | None
    method: Method
    seed: int
    quiet: bool

    def check(self) -> None:
        """Raise `ConfigError` for options that would have no effect."""
        if self.max_drop is not None:
            return
        for name in ("validate", "subset", "engine", "threads"):
            if getattr(self, name) is not None:
                raise ConfigError(f"--{name}", "is for the search: give --max-drop too")

    def target(self, source: Path) -> Path:
        """The file to write. Raises `ConfigError` when that is the file to read, or has no name
        that files beside it can have."""
        out = self.out or Path(f"{source.stem}_int8.onnx")
        if out.suffix != ".onnx":
            raise ConfigError("--out", f"{out} must end in .onnx")
        if out.exists() and out.samefile(source):
            raise ConfigError("--out", f"{out} is the file to quantize; name another")
        return out


def quantize(
    model: Annotated[str, typer.Argument(help="A bundled FP32 model, or an exported ONNX file.")],
    calibrate: Annotated[
        str, typer.Option(metavar="LOCATION", help="Data whose training pictures show the ranges.")
    ],
    max_drop: Annotated[
        float | None,
        typer.Option(min=0, help="Points of AP that may be lost: finds the layers to leave float."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The INT8 file to write (default: MODEL_int8.onnx, here).")
    ] = None,
    method: Annotated[Method, typer.Option(help="How a range is chosen.")] = "mse",
    pictures: Annotated[
        int | None, typer.Option(min=1, help="Calibrate on N pictures (default: at most 200).")
    ] = None,
    validate: Annotated[
        str | None,
        typer.Option(metavar="LOCATION", help="Data to judge by (default: that of --calibrate)."),
    ] = None,
    subset: Annotated[
        int | None, typer.Option(min=1, help="Judge by N of its pictures (default: at most 300).")
    ] = None,
    engine: Annotated[
        CpuEngine | None, typer.Option(help="Whose latency counts (default: onnxruntime).")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=0, help="Threads of the engine (default: all cores).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Which pictures are drawn to calibrate.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no table.")] = False,
) -> None:
    """Quantize after training: 8-bit weights and activations, measured on pictures."""
    request = Request(
        model,
        calibrate,
        out,
        max_drop,
        validate,
        subset,
        engine,
        threads,
        pictures,
        method,
        seed,
        quiet,
    )

    def work() -> int:
        request.check()
        from pipeline.cli.model.quantize_run import run_quantize

        return run_quantize(request)

    guarded(work)
