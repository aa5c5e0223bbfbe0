"""Options that several commands have."""

from typing import Annotated

import typer

from detectors.base import Precision
from detectors.engines.options import EngineChoice, EngineOptions

AcceptLicence = Annotated[
    bool, typer.Option("--accept-licence", help="Accept the licence of downloaded weights.")
]
Engine = Annotated[
    EngineChoice | None,
    typer.Option(help="Runtime of an .onnx file (default: onnxruntime); auto: the fastest here."),
]
InPrecision = Annotated[
    Precision | None,
    typer.Option("--precision", help="What must run (default: what the file is made for)."),
]
Sha256 = Annotated[
    str | None, typer.Option(metavar="HEX", help="What the SHA-256 of the model file must be.")
]


def engine_options(
    engine: EngineChoice | None, precision: Precision | None, batch_size: int
) -> EngineOptions | None:
    """What the options `--engine` and `--precision` ask for; None where they ask nothing."""
    if engine is None and precision is None:
        return None
    return EngineOptions(
        engine=engine or "onnxruntime",
        precision=precision,
        max_batch=batch_size,
        hint="throughput" if batch_size > 1 else "latency",
    )
