"""`eyrie model predict`: what a model sees in pictures and videos."""

from __future__ import annotations

import glob
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.options import (
    AcceptLicence,
    AnyModel,
    BatchSize,
    Classes,
    FileEngine,
    FilePrecision,
    Sha256,
    engine_options,
    names,
)
from pipeline.core.errors import ConfigError
from pipeline.core.log import counted, one_line
from pipeline.core.picture_files import is_video

if TYPE_CHECKING:
    from detectors.yolo_nas.predict.inputs import Picture
    from detectors.yolo_nas.predict.predictor import (
        ImageDetectionPrediction,
        VideoDetectionPrediction,
        YoloNAS,
    )
    from detectors.yolo_nas.predict.results import Style

LINES = "predictions.jsonl"
Tick = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """In what is detected, by which model, and what is written of it."""

    model: AnyModel
    sources: Annotated[
        list[str], typer.Argument(help="Pictures, folders, videos, globs, URLs of pictures.")
    ]
    out: Annotated[Path, typer.Option(help=f"Folder for {LINES} and what is drawn.")] = Path(
        "predictions"
    )
    conf: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least score (default: the model's).")
    ] = None
    iou: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Overlap above which the lesser of two boxes is cut."),
    ] = None
    class_agnostic: Annotated[
        bool,
        typer.Option("--class-agnostic", help="One box an object: cut those of other classes too."),
    ] = False
    batch_size: BatchSize = 32
    classes: Classes = None
    save_images: Annotated[
        bool, typer.Option(help="Write pictures and videos with boxes drawn.")
    ] = True
    engine: FileEngine = None
    precision: FilePrecision = None
    accept_licence: AcceptLicence = False
    sha256: Sha256 = None
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")] = False


def predict(request: Request) -> int:
    """Detect in pictures and videos; draw what is found, and write it as JSON lines."""
    from detectors.yolo_nas.predict.predictor import YoloNAS

    pictures, videos = _sorted_out(request)
    model = YoloNAS.load(
        request.model,
        accept_licence=request.accept_licence,
        sha256=request.sha256,
        options=engine_options(request.engine, request.precision, request.batch_size),
    )
    wanted = _wanted(request.classes, model.class_names)
    began_s = time.monotonic()
    request.out.mkdir(parents=True, exist_ok=True)
    with (request.out / LINES).open("w", encoding="utf-8") as lines:
        writer = _Writer(model, request, wanted, lines)
        with _progress(request.quiet, len(pictures)) as tick:
            writer.pictures(pictures, tick)
        for video in videos:
            with _progress(request.quiet, None, video.name) as tick:
                writer.video(video, tick)
    for fault in writer.account.unreadable:
        typer.echo(f"eyrie: {one_line(fault)}", err=True)
    if not request.quiet:
        line = writer.account.line(time.monotonic() - began_s)
        typer.echo(f"{line}; see {one_line(str(request.out / LINES))}")
    return 1 if writer.account.unreadable else 0


@dataclass(slots=True)
class Account:
    """What was done: pictures, videos and their frames, boxes by class, what could not be read."""

    pictures: int = 0
    videos: int = 0
    frames: int = 0
    boxes: Counter[str] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)

    def line(self, seconds: float) -> str:
        """All of it in a line."""
        seen = [counted(self.pictures, "picture")] if self.pictures or not self.videos else []
        if self.videos:
            seen.append(f"{counted(self.videos, 'video')} of {counted(self.frames, 'frame')}")
        by_class = ", ".join(f"{name} {count}" for name, count in self.boxes.most_common())
        found = counted(self.boxes.total(), "box", "boxes")
        found += f" ({by_class})" if by_class else ""
        lost = f", {len(self.unreadable)} could not be read" if self.unreadable else ""
        return f"{' and '.join(seen)}: {found} in {seconds:.1f} s{lost}"


def _sorted_out(request: Request) -> tuple[list[Picture], list[Path]]:
    """The pictures and the videos that are meant. Raises `ConfigError`."""
    from detectors.yolo_nas.predict import inputs

    pictures: list[Picture] = []
    videos: list[Path] = []
    for source in _spelt_out(request.sources):
        path = Path(source)
        if source.lower().startswith(inputs.ADDRESSES):
            pictures.append(inputs.picture(source))
            continue
        if not path.exists():
            raise ConfigError(source, "no such file or folder")
        home = path if path.is_dir() else path.parent
        if request.save_images and home.resolve() == request.out.resolve():
            raise ConfigError("--out", f"is the folder of {source}, whose files it would replace")
        if path.is_dir():
            pictures += inputs.folder(path).items
        elif is_video(path):
            videos.append(path)
        else:
            pictures.append(inputs.picture(path))
    return pictures, videos


def _spelt_out(sources: Sequence[str]) -> Iterator[str]:
    """Sources, each glob as the files that match it, by name."""
    for source in sources:
        named = "://" in source or Path(source).exists()
        matches = [] if named else glob.glob(source, recursive=True)  # noqa: PTH207
        yield from sorted(matches) or [source]


def _wanted(text: str | None, known: Sequence[str]) -> tuple[str, ...]:
    """The classes to keep. Raises `ConfigError`."""
    wanted = names("--classes", text)
    if unknown := [name for name in wanted if name not in known]:
        raise ConfigError("--classes", f"no class {', '.join(unknown)}; known: {', '.join(known)}")
    return wanted or tuple(known)


class _Writer:
    """Predicts, and writes lines and drawings."""

    def __init__(
        self, model: YoloNAS, request: Request, wanted: tuple[str, ...], lines: IO[str]
    ) -> None:
        from detectors.yolo_nas.predict.predictor import Options
        from detectors.yolo_nas.predict.results import Names

        self.account = Account()
        self._model, self._request, self._wanted, self._lines = model, request, wanted, lines
        self._names = Names("picture")
        self._options = Options(
            conf=request.conf,
            iou=request.iou,
            batch_size=request.batch_size,
            class_agnostic_nms=request.class_agnostic or None,
        )

    def pictures(self, pictures: Sequence[Picture], tick: Tick) -> None:
        """All pictures, in batches; those that cannot be read are told in the account."""
        from detectors.yolo_nas.predict import inputs

        if not pictures:
            return
        given = inputs.Pictures(pictures, skip_unreadable=True)
        results = self._model.predict(given, **self._options)
        try:
            for one in results:
                self._note(one)
                self.account.pictures += 1
                if self._request.save_images:
                    target = self._request.out / f"{self._names.of(one.name)}.jpg"
                    one.save(target, self._style)
                tick()
        except inputs.InputError:
            if not results.unreadable:
                raise
        self.account.unreadable += map(str, results.unreadable)

    def video(self, path: Path, tick: Tick) -> None:
        """One video. Of a damaged one there are lines up to the damage, but no drawing."""
        from detectors.yolo_nas.predict.inputs import InputError
        from detectors.yolo_nas.predict.video import write_video

        def drawn() -> Iterator[tuple[float, Any]]:
            for one in video:
                self._note(one)
                self.account.frames += 1
                tick()
                if self._request.save_images:
                    yield one.time_s, one.drawn(self._style)

        try:
            video: VideoDetectionPrediction = self._model.predict(path, **self._options)
            if self._request.save_images:
                target = self._request.out / f"{self._names.of(path.name)}.mp4"
                write_video(target, drawn(), video.fps)
            else:
                list(drawn())
        except InputError as error:
            self.account.unreadable.append(str(error))
        else:
            self.account.videos += 1

    @property
    def _style(self) -> Style:
        from detectors.yolo_nas.predict.results import Style

        return Style(class_names=self._wanted)

    def _note(self, one: ImageDetectionPrediction) -> None:
        """Write a line, count its boxes."""
        from detectors.yolo_nas.predict.predictor import FrameDetectionPrediction

        found = one.prediction
        boxes = []
        rows = found.bboxes_xyxy.tolist(), found.confidence.tolist(), found.labels.tolist()
        for xyxy, score, label in zip(*rows, strict=True):
            name = one.class_names[label]
            if name in self._wanted:
                self.account.boxes[name] += 1
                corners = [round(side, 2) for side in xyxy]
                boxes.append(
                    {"xyxy": corners, "score": round(score, 4), "class": name, "class_id": label}
                )
        height, width = one.image.shape[:2]
        said: dict[str, Any] = {"image": one.name, "width": width, "height": height}
        if isinstance(one, FrameDetectionPrediction):
            said |= {"frame": one.index, "time_s": round(one.time_s, 6)}
        self._lines.write(json.dumps(said | {"boxes": boxes}) + "\n")


@contextmanager
def _progress(quiet: bool, total: int | None, what: str = "pictures") -> Iterator[Tick]:
    """A bar on standard error, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    hidden = quiet or not console.is_terminal or total == 0
    with Progress(console=console, disable=hidden, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)
