"""`eyrie model evaluate`: how good a model is on labelled pictures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.options import (
    AcceptLicence,
    AnyModel,
    BatchSize,
    FileEngine,
    FilePrecision,
    Sha256,
    engine_options,
)
from pipeline.core.log import counted

if TYPE_CHECKING:
    from detectors.evaluation import Evaluation, Scores
    from detectors.training.data import Dataset
    from detectors.yolo_nas.predict.predictor import YoloNAS

HEADS = {
    "ap": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "ap_small": "small",
    "ap_medium": "medium",
    "ap_large": "large",
}

SHOWN_CLASSES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Which model is judged, on which pictures, and what counts as a box."""

    model: AnyModel
    data: Annotated[
        str,
        typer.Option(help="A folder with index.jsonl, data.yaml or annotations/, or such a file."),
    ]
    split: Annotated[str, typer.Option(help="Which part of the data.")] = "val"
    images: Annotated[
        Path | None, typer.Option(help="Folder of the pictures of a COCO file (default: found).")
    ] = None
    conf: Annotated[float, typer.Option(min=0, max=1, help="Least score of a box that counts.")] = (
        0.01
    )
    iou: Annotated[
        float, typer.Option(min=0, max=1, help="Boxes that overlap a better one by more are cut.")
    ] = 0.65
    batch_size: BatchSize = 8
    limit: Annotated[int | None, typer.Option(min=1, help="Only N pictures, evenly spread.")] = None
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Also write the figures to this file.")
    ] = None
    engine: FileEngine = None
    precision: FilePrecision = None
    accept_licence: AcceptLicence = False
    sha256: Sha256 = None
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False


def evaluate(request: Request) -> int:
    """Average precision of a model by COCO's rules, each class only where it is labelled."""
    from detectors.evaluation import EVALUATION_RULE
    from detectors.training.data import read_dataset
    from detectors.yolo_nas.predict.predictor import YoloNAS

    model = YoloNAS.load(
        request.model,
        accept_licence=request.accept_licence,
        sha256=request.sha256,
        options=engine_options(request.engine, request.precision, request.batch_size),
    )
    dataset = read_dataset(request.data, request.split, images=request.images)
    unknown = _unknown_classes(dataset, model.class_names)
    dataset = dataset.selected(model.class_names)
    _complain(dataset.summary())
    _complain(_not_judged(unknown))
    if request.limit:
        dataset = dataset.limited(request.limit)
    rule = replace(EVALUATION_RULE, conf=request.conf, iou=request.iou)
    result = _evaluated(model, dataset, rule, request)
    _complain("; ".join(map(str, result.faults[:10])))
    _print_table(result.scores, f"{request.model} on {request.data}, {request.split}")
    if request.json_file:
        said = {
            "model": request.model,
            "data": request.data,
            "split": request.split,
            "input_size": list(model.processing.input_size),
            "rule": asdict(rule),
            "left_out": [str(fault) for fault in (*dataset.faults, *result.faults)],
            "not_in_the_model": unknown,
            **result.scores.named(),
        }
        request.json_file.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    return 0


def _unknown_classes(dataset: Dataset, known: Sequence[str]) -> dict[str, int]:
    """Boxes by class that the model does not have, matched by name as `Dataset.selected` does."""
    kept = {name.strip().casefold() for name in known}
    boxes = Counter(dataset.class_names[n] for one in dataset.pictures for n in one.class_id)
    return {
        name: count for name, count in boxes.most_common() if name.strip().casefold() not in kept
    }


def _not_judged(boxes_by_class: dict[str, int]) -> str:
    if not boxes_by_class:
        return ""
    shown = ", ".join(list(boxes_by_class)[:SHOWN_CLASSES])
    more = ", …" if len(boxes_by_class) > SHOWN_CLASSES else ""
    boxes = sum(boxes_by_class.values())
    return f"not in the model, so not judged: {shown}{more} ({boxes} boxes)"


def _evaluated(model: YoloNAS, dataset: Dataset, rule: Any, request: Request) -> Evaluation:
    from rich.console import Console
    from rich.progress import Progress

    from detectors.evaluation import evaluate_model

    with Progress(console=Console(stderr=True), disable=request.quiet, transient=True) as progress:
        task = progress.add_task("evaluate", total=len(dataset.pictures))
        return evaluate_model(
            model,
            dataset,
            rule=rule,
            batch=request.batch_size,
            done=lambda count: progress.update(task, completed=count),
        )


def _print_table(scores: Scores, title: str) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("class", overflow="fold")
    for head in (*HEADS.values(), "boxes", "pictures"):
        table.add_column(head, justify="right")
    for score in scores.classes:
        values = (getattr(score, figure) for figure in HEADS)
        table.add_row(score.name, *map(_figure, values), f"{score.boxes}", f"{score.pictures}")
    table.add_section()
    boxes = sum(score.boxes for score in scores.classes)
    means = (_figure(scores.mean(figure)) for figure in HEADS)
    judged = sum(score.boxes > 0 for score in scores.classes)
    mean = f"mean of {counted(judged, 'class', 'classes')}"
    table.add_row(mean, *means, f"{boxes}", f"{scores.pictures}")
    Console().print(table)


def _figure(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"


def _complain(text: str) -> None:
    if text:
        typer.echo(f"eyrie: {text}", err=True)
