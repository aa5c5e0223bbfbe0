"""`eyrie evaluate-tracking`: how good the tracker is on labelled sequences."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from pipeline.core.errors import ConfigError
from pipeline.core.tracks import Tracks

if TYPE_CHECKING:
    from stages.track_evaluation import TrackScores
    from stages.track_evaluation.mot_files import MotTable
    from stages.track_evaluation.sequences import Sequence


HEADS = {
    "hota": "HOTA",
    "det_a": "DetA",
    "ass_a": "AssA",
    "mota": "MOTA",
    "idf1": "IDF1",
    "id_switches": "switches",
    "false_positives": "FP",
    "false_negatives": "FN",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is judged, against which truth, and where the figures go."""

    truth: Annotated[
        Path, typer.Option(help="gt.txt, a sequence's folder, or a folder of SEQUENCE/gt/gt.txt.")
    ]
    detections: Annotated[
        Path | None,
        typer.Option(help="Run the tracker over det.txt, or a folder with each sequence's."),
    ] = None
    tracks: Annotated[
        Path | None, typer.Option(help="Judge ready tracks: a file, or a folder of SEQUENCE.txt.")
    ] = None
    video: Annotated[
        Path | None,
        typer.Option(help="Detect and track in this video, or a folder of SEQUENCE.mp4."),
    ] = None
    model: Annotated[
        str, typer.Option(help="With --video: a bundled model, or an ONNX file of Eyrie's.")
    ] = "yolo_nas_n_int8"
    class_ids: Annotated[
        list[int] | None,
        typer.Option("--class", min=0, help="Number of a class in the files. Repeatable."),
    ] = None
    fps: Annotated[
        float | None, typer.Option(min=0.001, help="Frame rate (default: seqinfo.ini, else 30).")
    ] = None
    every: Annotated[int, typer.Option(min=1, help="Only every Nth frame, from the first on.")] = 1
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key of `tracking`. Repeatable."),
    ] = None
    out: Annotated[Path | None, typer.Option(help="Folder for SEQUENCE.txt, the tracks.")] = None
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Write all figures to this file, or - for stdout."),
    ] = None
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No table.")] = False


def evaluate_tracking(request: Request) -> int:
    """Judge tracks of labelled sequences: HOTA, MOTA, IDF1. Files as of MOT Challenge."""
    from stages.track_evaluation.sequences import find_sequences

    given = [p for p in (request.detections, request.tracks, request.video) if p is not None]
    if len(given) > 1:
        raise ConfigError("", "give one of --detections, --tracks and --video")
    sequences = find_sequences(request.truth)
    for sequence in sequences:
        _check_spared(request, sequence, given)
    scores: dict[int, dict[str, TrackScores]] = {number: {} for number in request.class_ids or (1,)}
    for sequence in sequences:
        truth, found = _tables(request, sequence, alone=len(sequences) == 1)
        for class_id, of_sequence in scores.items():
            mine = found.of_one_class(class_id) if len(scores) == 1 else found
            of_sequence[sequence.name] = _judge(truth, mine, class_id, sequence)
    figures = {str(class_id): _figures(of_sequence) for class_id, of_sequence in scores.items()}
    if not request.quiet:
        for name, rows in figures.items():
            _print(f"class {name}", rows, to_stderr=str(request.json_file) == "-")
    if request.json_file is not None:
        text = json.dumps({"every": request.every, "classes": figures}, indent=2)
        if str(request.json_file) == "-":
            print(text)
        else:
            request.json_file.write_text(text + "\n", encoding="utf-8")
    return 0


def _check_spared(request: Request, sequence: Sequence, given: list[Path]) -> None:
    """Raises `ConfigError` where results would be written over what is read."""
    own = f"{sequence.name}.txt"
    inputs = [sequence.truth, sequence.truth.parent.parent / "det" / "det.txt", *given]
    for folder in given:
        inputs += [folder / own, folder / sequence.name / "det" / "det.txt"]
    targets = {"--json": request.json_file, "--out": request.out and request.out / own}
    for option, target in targets.items():
        if target is None or not target.is_file():
            continue
        if any(path.is_file() and path.samefile(target) for path in inputs):
            raise ConfigError(option, f"{target} is read by this command: give another place")


def _tables(request: Request, sequence: Sequence, alone: bool) -> tuple[MotTable, MotTable]:
    """Truth and tracks of one sequence; writes the tracks where `--out` asks for it."""
    from stages.track_evaluation.follow import table_of
    from stages.track_evaluation.mot_files import read_mot, write_mot

    truth = read_mot(sequence.truth, identities=True)
    if request.tracks is not None:
        return truth.every(request.every), _ready(request, sequence, alone)
    if request.video is not None:
        of_frame = _of_video(request, sequence, alone)
        truth = truth.rows(np.isin(truth.frame, list(of_frame)))
        frames = max([truth.frame_count, *(number + 1 for number in of_frame)])
        tracks, step = [of_frame.get(frame, Tracks.empty()) for frame in range(frames)], 1
    else:
        tracks, step = _of_detections(request, sequence, truth, alone), request.every
        truth = truth.every(step)
    if request.out is not None:
        write_mot(request.out / f"{sequence.name}.txt", tracks, step)
    return truth, table_of(tracks)


def _ready(request: Request, sequence: Sequence, alone: bool) -> MotTable:
    from stages.track_evaluation.mot_files import read_mot
    from stages.track_evaluation.sequences import file_of

    assert request.tracks is not None
    path = file_of(sequence, request.tracks, "--tracks", alone, "tracks.txt")
    return read_mot(path, identities=True).every(request.every)


def _of_detections(
    request: Request, sequence: Sequence, truth: MotTable, alone: bool
) -> list[Tracks]:
    from pipeline.cli.tracking_sources import parsed, tracks_of_detections
    from stages.track_evaluation.mot_files import read_mot
    from stages.track_evaluation.sequences import USUAL_FPS, file_of

    given = request.truth if request.detections is None else request.detections
    if request.detections is None and request.truth.is_file():
        raise ConfigError("", "give one of --detections, --tracks and --video")
    path = file_of(sequence, given, "--detections", alone, "det/det.txt")
    found = read_mot(path, identities=False)
    frames = max(truth.frame_count, found.frame_count, sequence.frames or 0)
    fps = (request.fps or sequence.fps or USUAL_FPS) / request.every
    count = -(-frames // request.every)
    params = parsed(request.overrides or ())
    return tracks_of_detections(found.every(request.every), count, fps, params)


def _of_video(request: Request, sequence: Sequence, alone: bool) -> dict[int, Tracks]:
    from pipeline.cli.tracking_sources import parsed, tracks_of_video
    from stages.track_evaluation.sequences import file_of

    assert request.video is not None
    path = file_of(sequence, request.video, "--video", alone, f"{sequence.name}.mp4")
    fps = None
    if request.every > 1:
        fps = request.fps or sequence.fps
        if fps is None:
            raise ConfigError("--every", "with --video needs --fps, the video's frame rate")
        fps /= request.every
    return tracks_of_video(path, request.model, parsed(request.overrides or ()), fps)


def _judge(truth: MotTable, found: MotTable, class_id: int, sequence: Sequence) -> TrackScores:
    from stages.track_evaluation.judge import judge

    if not (truth.class_id == class_id).any():
        there = ", ".join(map(str, sorted(set(truth.class_id.tolist())))) or "none"
        raise ConfigError(
            "--class", f"{sequence.truth} has no boxes of class {class_id}; it has {there}"
        )
    return judge(truth, found, class_id)


def _figures(scores: dict[str, TrackScores]) -> dict[str, Any]:
    return {
        "sequences": {name: of_one.figures() for name, of_one in scores.items()},
        "combined": reduce(add, scores.values()).figures(),
    }


def _print(title: str, figures: dict[str, Any], to_stderr: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("sequence")
    for head in HEADS.values():
        table.add_column(head, justify="right")
    rows = [*figures["sequences"].items()]
    if len(rows) > 1:
        rows.append(("all together", figures["combined"]))
    for name, row in rows:
        cells = [row[key] for key in HEADS]
        shown = (f"{100 * c:.2f}" if isinstance(c, float) else f"{c:,}" for c in cells)
        table.add_row(name, *shown)
    Console(stderr=to_stderr).print(table)
