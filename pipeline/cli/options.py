"""Options that several commands have: each with its help once."""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer

from detectors.base import Precision
from detectors.engines.options import EngineChoice, EngineOptions
from pipeline.core.errors import ConfigError

T = TypeVar("T")

# What runs, and how much of it is said.
Config = Annotated[Path, typer.Argument(help="A YAML file; see configs/README.md.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change one key, such as sinks.0.topic=x. Repeatable."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no table.")]

# What is analysed, and by which model.
Model = Annotated[T, typer.Option(help="A bundled model, or an ONNX file that Eyrie exported.")]
Engine = Annotated[T, typer.Option(help="The runtime; auto: the best here.")]
RunPrecision = Annotated[
    Precision | None, typer.Option(help="What must run (default: what the model is made for).")
]
Classes = Annotated[str | None, typer.Option(help="Keep only these, such as person,car.")]
Conf = Annotated[T, typer.Option(min=0, max=1, help="Least score of a detection.")]
Fps = Annotated[float | None, typer.Option(min=0.001, help="Analyse at most N frames a second.")]

# Where messages are read.
Address = Annotated[
    str,
    typer.Argument(
        help="kafka://HOST:PORT/TOPIC, redis://HOST:PORT/0?stream=NAME, or file:PATH.jsonl."
    ),
]
Streams = Annotated[
    list[str] | None, typer.Option("--stream", help="Only of this stream. Repeatable.")
]

# A model's file.
AnyModel = Annotated[
    str, typer.Argument(help="A bundled model, or a .pth or .onnx file, or its URL.")
]
AcceptLicence = Annotated[
    bool, typer.Option("--accept-licence", help="Accept the licence of downloaded weights.")
]
Sha256 = Annotated[
    str | None, typer.Option(metavar="HEX", help="What the SHA-256 of the model file must be.")
]
FileEngine = Annotated[
    EngineChoice | None,
    typer.Option(help="Runtime of an .onnx file (default: onnxruntime); auto: the fastest here."),
]
FilePrecision = Annotated[
    Precision | None,
    typer.Option("--precision", help="What must run (default: what the file is made for)."),
]
BatchSize = Annotated[int, typer.Option(min=1, help="Pictures at a time.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]

# Training and quantization.
Data = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH[:SHARE]", help="Pictures with boxes, their share of draws. Repeatable."
    ),
]
Pictures = Annotated[int | None, typer.Option(min=1, help="The budget, in pictures.")]
Epochs = Annotated[float | None, typer.Option(min=0, help="The budget, in passes over the data.")]
LearningRate = Annotated[float | None, typer.Option(min=0, help="Learning rate after warm-up.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Another value of the recipe. Repeatable."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Threads = Annotated[int, typer.Option(min=0, help="0: as many as there are cores.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that make batches.")]
EvaluateEvery = Annotated[float, typer.Option(min=0, help="Seconds between evaluations on val.")]
StopAt = Annotated[int | None, typer.Option(min=1, help="Stop after this step, to go on later.")]
ClippingMethod = Literal["max", "percentile", "mse", "entropy"]
Method = Annotated[ClippingMethod, typer.Option(help="How a range is chosen.")]


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


def names(option: str, text: str | None) -> tuple[str, ...]:
    """The names of a list by commas, none where it was not given. Raises `ConfigError` for an empty
    one."""
    found = () if text is None else tuple(name.strip() for name in text.split(","))
    if not all(found):
        raise ConfigError(option, f"{text!r}: names by commas, none of them empty")
    return found
