"""The options of `eyrie model quantize`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.cli.options import Method, Quiet
from pipeline.core.errors import ConfigError

CpuEngine = Literal["onnxruntime", "openvino"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Which file is quantized, how, what may be lost, and where it is written. Raises `ConfigError`
    for options that would have no effect."""

    model: Annotated[str, typer.Argument(help="A bundled FP32 model, or an exported ONNX file.")]
    calibrate: Annotated[
        str, typer.Option(metavar="LOCATION", help="Data whose training pictures show the ranges.")
    ]
    max_drop: Annotated[
        float | None,
        typer.Option(min=0, help="Points of AP that may be lost: finds the layers to leave float."),
    ] = None
    out: Annotated[
        Path | None, typer.Option(help="The INT8 file to write (default: MODEL_int8.onnx, here).")
    ] = None
    method: Method = "mse"
    pictures: Annotated[
        int | None, typer.Option(min=1, help="Calibrate on N pictures (default: at most 200).")
    ] = None
    validate: Annotated[
        str | None,
        typer.Option(metavar="LOCATION", help="Data to judge by (default: that of --calibrate)."),
    ] = None
    subset: Annotated[
        int | None, typer.Option(min=1, help="Judge by N of its pictures (default: at most 300).")
    ] = None
    engine: Annotated[
        CpuEngine | None, typer.Option(help="Whose latency counts (default: onnxruntime).")
    ] = None
    threads: Annotated[
        int | None, typer.Option(min=0, help="Threads of the engine (default: all cores).")
    ] = None
    seed: Annotated[int, typer.Option(help="Which pictures are drawn to calibrate.")] = 0
    quiet: Quiet = False

    def __post_init__(self) -> None:
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
