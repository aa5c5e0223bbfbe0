"""`eyrie model inspect`: what each layer runs in, planned by an ONNX file or chosen in a plan."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import AsJson
from pipeline.core.errors import EngineLoadError
from pipeline.core.log import one_line

LEAST_WIDTH = 100
PLANNED = ("convolution", "operator", "precision")
CHOSEN = ("layer", "type", "precision", "tactic")


def inspect(
    model: Annotated[
        str, typer.Argument(help="A bundled model, an ONNX file, or a plan of eyrie model build.")
    ],
    as_json: AsJson = False,
) -> int:
    """Print the precision of each layer: what an ONNX file plans, or what a plan runs, and how."""
    from detectors.engines.tensorrt.plan import is_plan
    from detectors.yolo_nas.detector import resolve

    path = resolve(model)
    made = of_plan(path) if is_plan(path) else of_onnx(path)
    if as_json:
        typer.echo(json.dumps(asdict(made), indent=2))
    else:
        _print(made)
    return 0


@dataclass(frozen=True, slots=True)
class Inspection:
    """A file layer by layer. `rows` have a cell for each of `heads`; `notes` say what they mean."""

    file: str
    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: list[str]


def of_onnx(path: Path) -> Inspection:
    """The convolutions of an ONNX file, and what it plans for each. Raises `EngineLoadError`."""
    from detectors.engines.model_header import ModelHeader

    header = ModelHeader.read(path)
    try:
        from detectors.engines.planned import planned_layers
        from detectors.quantize.graph import Graph
    except ImportError as error:
        raise EngineLoadError(
            f"model {path.name}: inspecting an ONNX file needs onnx: pip install 'eyrie[train]'"
        ) from error
    found = planned_layers(Graph.load(path))
    counts = Counter(layer.precision for layer in found)
    said = ", ".join(f"{count} in {precision}" for precision, count in counts.most_common())
    return Inspection(
        path.name,
        PLANNED,
        [(layer.name, layer.operator, layer.precision) for layer in found],
        [
            f"{len(found)} convolutions: {said or 'none'}; what they run in is the engine's choice",
            f"opset {header.opset}, eyrie.precision: {header.precision}",
        ],
    )


def of_plan(path: Path) -> Inspection:
    """The layers of a plan, as TensorRT's inspector told when it was built: no GPU is needed.
    Raises `EngineLoadError`, and OSError."""
    from detectors.engines.tensorrt.inspector import int8_share, layers
    from detectors.engines.tensorrt.plan import read
    from pipeline.cli.model.build import told

    plan = read(path)
    found = layers(plan.information)
    rows: list[tuple[str, ...]] = [
        (layer.name, layer.kind, layer.precision or "", layer.tactic) for layer in found
    ]
    others = int8_share(found, plan.planned_int8).others
    notes = [*told(plan), *(f"planned in INT8, and not: {name}" for name in others)]
    return Inspection(path.name, CHOSEN, rows, notes)


def _print(made: Inspection) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in made.heads:
        table.add_column(head, overflow="fold")
    for row in made.rows:
        table.add_row(*map(_escaped, row))
    console = Console()
    console.width = max(console.width, LEAST_WIDTH)
    console.print(table)
    for line in made.notes:
        console.print(one_line(line), highlight=False, markup=False, soft_wrap=True)


def _escaped(text: str) -> str:
    """Names of layers as they are, brackets too."""
    from rich.markup import escape

    return escape(one_line(text))
