"""`eyrie model summary`: what a network is made of, and what of it is trained and deployed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import AcceptLicence, AsJson, Sha256
from pipeline.core.errors import ConfigError
from pipeline.core.log import one_line

if TYPE_CHECKING:
    from detectors.yolo_nas.architecture.summary import Shape, Shapes, Summary

SIDES = (1, 2, 4)
LEAST_WIDTH = 100
FORMS = {
    "branches": "as trained",
    "partial": "partially fused",
    "full": "fully fused",
    "onnx": "as exported",
}


def summary(
    model: Annotated[
        str, typer.Argument(help="A variant such as yolo_nas_s, or a .pth or .onnx file.")
    ],
    size: Annotated[
        str | None,
        typer.Option("--input", metavar="BxCxHxW", help="Such as 16x3x640x640, 480x640 or 320."),
    ] = None,
    depth: Annotated[int, typer.Option(min=0, help="How deep modules are shown.")] = 2,
    classes: Annotated[
        int | None, typer.Option(min=1, help="Number of classes of a variant (default 80).")
    ] = None,
    as_json: AsJson = False,
    accept_licence: AcceptLicence = False,
    sha256: Sha256 = None,
) -> int:
    """Modules with their inputs, outputs, parameters and multiplications, and honest totals."""
    shape = None if size is None else parse_input(size)
    made = _summarize(model, shape, classes, accept_licence, sha256)
    if as_json:
        typer.echo(json.dumps(made.to_json(), indent=2))
    else:
        _print(made, depth)
        if (bundled := _bundled_variant(model)) is not None:
            typer.echo(f"This is the variant. The bundled model: eyrie model summary {bundled}")
    return 0


def parse_input(text: str) -> Shape:
    """`BxCxHxW`, `HxW` or one side -> (B, C, H, W). Raises `ConfigError`."""
    from detectors.yolo_nas.architecture.summary import check_shape

    try:
        sides = tuple(int(side) for side in text.lower().split("x"))
        if len(sides) not in SIDES:
            raise ValueError(f"an input is BxCxHxW, HxW or one side, not {text!r}")
        shape = sides if len(sides) == max(SIDES) else (1, 3, *(sides * 2)[:2])
        check_shape(shape)
    except ValueError as error:
        raise ConfigError("--input", str(error)) from error
    return shape


def _summarize(
    model: str, shape: Shape | None, classes: int | None, accept_licence: bool, sha256: str | None
) -> Summary:
    from detectors.yolo_nas.architecture import summary
    from detectors.yolo_nas.architecture.variants import VARIANTS
    from detectors.yolo_nas.predict.network import import_torch

    import_torch("the summary of a model")
    if model in VARIANTS:
        size = shape or summary.NOMINAL_INPUT
        return summary.summarize_variant(model, classes or summary.COCO_CLASSES, size)
    if classes is not None:
        raise ConfigError("--classes", f"{model} has classes of its own")
    if (path := _onnx_file(model)) is not None:
        if shape is not None:
            raise ConfigError("--input", f"{path.name} was exported for one size")
        return summary.summarize_onnx(path)
    return summary.summarize_checkpoint(model, shape, accept_licence=accept_licence, sha256=sha256)


def _onnx_file(model: str) -> Path | None:
    from detectors.yolo_nas.detector import WEIGHTS

    paths = (WEIGHTS / f"{model}.onnx", Path(model))
    return next((path for path in paths if path.suffix == ".onnx" and path.is_file()), None)


def _bundled_variant(model: str) -> Path | None:
    """The bundled file, where its name is that of a variant too."""
    from detectors.yolo_nas.architecture.variants import VARIANTS

    return _onnx_file(model) if model in VARIANTS else None


def _print(made: Summary, depth: int) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    size = "x".join(map(str, made.input))
    title = (
        f"{made.model}: {made.variant}, {FORMS[made.form]}, {made.classes} classes, input {size}"
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("module", "input", "output"):
        table.add_column(head, no_wrap=True)
    for head in ("parameters", "trainable", "G MACs"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in made.rows:
        if row.depth <= depth:
            name = "  " * row.depth + (row.name.rpartition(".")[2] or "all")
            table.add_row(
                name,
                _sizes(row.inputs),
                _sizes(row.outputs),
                f"{row.parameters:,}",
                f"{row.trainable:,}",
                f"{row.macs / 1e9:.3f}",
            )
    console = Console()
    console.width = max(console.width, LEAST_WIDTH)
    console.print(one_line(title), highlight=False, markup=False, soft_wrap=True)
    console.print(table)
    for line in totals_in_words(made):
        console.print(line, highlight=False, soft_wrap=True)


def totals_in_words(made: Summary) -> list[str]:
    """What the totals mean, a line each."""
    sizes = made.totals
    height, width = made.input[2:]
    return [
        f"trained:      {sizes.trained:>13,} parameters, "
        f"{sizes.training_macs / 1e9:.2f} G MACs a picture of {height}x{width}",
        f"place-holder: {sizes.place_holders:>13,} more in a checkpoint, kernels that are never "
        "trained and get their values by fusing",
        f"both:         {sizes.with_place_holders:>13,} parameters, the number that public tables "
        "give",
        f"fused:        {sizes.fused:>13,} parameters once the branches of each block are one "
        "convolution",
        f"deployed:     {sizes.deployed:>13,} parameters with batch norms folded too, "
        f"{sizes.deployed_macs / 1e9:.2f} G MACs a picture",
    ]


def _sizes(shapes: Shapes) -> str:
    return "\n".join("x".join(map(str, shape)) for shape in shapes)
