"""What `predict` returns for pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path
from typing import TypedDict, Unpack, overload

from detectors.yolo_nas.predict import show
from detectors.yolo_nas.predict.draw import Color, draw_boxes
from detectors.yolo_nas.predict.inputs import InputError, Picture
from pipeline.core.arrays import F32, I64, U8
from pipeline.core.log import get_logger

log = get_logger(__name__)

SHOWN_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class DetectionPrediction:
    """What was found, best first: boxes (N, 4) f32 xyxy in picture pixels, unclipped; scores (N,)
    f32; class numbers (N,) i64."""

    bboxes_xyxy: F32
    confidence: F32
    labels: I64

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Style:
    """How results are drawn.

    `box_thickness` in pixels (default: as the picture's size asks for); `color_mapping` holds an
    RGB color for each class; `class_names` names the classes that are drawn (default: all).
    """

    box_thickness: int | None = None
    show_confidence: bool = True
    color_mapping: Sequence[Color] | None = None
    class_names: Sequence[str] | None = None


class Drawing(TypedDict, total=False):
    """The fields of `Style`, for what takes them one by one."""

    box_thickness: int | None
    show_confidence: bool
    color_mapping: Sequence[Color] | None
    class_names: Sequence[str] | None


def style_of(style: Style | None, drawing: Drawing) -> Style:
    """A style, by default the plain one, with fields of `drawing` in place of its own."""
    return replace(style or Style(), **drawing)


class ImageDetectionPrediction:
    """A picture and what was found in it.

    `name` is its path or address, empty for an array. `class_names[labels[i]]` is the class of box
    i.
    """

    def __init__(
        self, picture: Picture, class_names: tuple[str, ...], prediction: DetectionPrediction
    ) -> None:
        self._picture = picture
        self.name = picture.name
        self.class_names = class_names
        self.prediction = prediction

    @property
    def image(self) -> U8:
        """The picture, (H, W, 3) uint8 RGB. One of many is read again from its file when it is
        asked for later; raises `InputError` when that is gone."""
        return self._picture.image

    def draw(
        self,
        box_thickness: int | None = None,
        show_confidence: bool = True,
        color_mapping: Sequence[Color] | None = None,
        class_names: Sequence[str] | None = None,
    ) -> U8:
        """A copy of the picture with the boxes on it; see `Style`.

        Raises ValueError for a class that the model does not know.
        """
        return self.drawn(Style(box_thickness, show_confidence, color_mapping, class_names))

    def drawn(self, style: Style) -> U8:
        """As `draw`."""
        found = self.prediction
        unknown = sorted(set(style.class_names or ()) - set(self.class_names))
        if unknown:
            known = ", ".join(self.class_names)
            raise ValueError(f"no class {', '.join(unknown)}; the model knows {known}")
        rows = [
            row
            for row, label in enumerate(found.labels)
            if style.class_names is None or self.class_names[label] in style.class_names
        ]
        return draw_boxes(
            self.image,
            found.bboxes_xyxy[rows],
            found.labels[rows],
            [self._text(row, style.show_confidence) for row in rows],
            box_thickness=style.box_thickness,
            color_mapping=style.color_mapping,
        )

    def save(
        self, path: str | Path, style: Style | None = None, **drawing: Unpack[Drawing]
    ) -> Path:
        """Write the drawn picture, in the format of the suffix. Returns the path.

        Raises `InputError` for an unknown suffix, OSError where the file cannot be written.
        """
        return show.write(self.drawn(style_of(style, drawing)), Path(path))

    def show(self, style: Style | None = None, **drawing: Unpack[Drawing]) -> Path:
        """Open the drawn picture in the system's viewer. Returns its temporary file."""
        path = show.temporary_folder() / f"{_stem(self.name, 'picture')}.png"
        self.save(path, style, **drawing)
        show.open_in_viewer(path)
        return path

    def _text(self, row: int, show_confidence: bool) -> str:
        name = self.class_names[self.prediction.labels[row]]
        return f"{name} {self.prediction.confidence[row]:.2f}" if show_confidence else name

    def _repr_png_(self) -> bytes:
        """How notebooks show it."""
        return show.encode(self.draw(), ".png")

    def __repr__(self) -> str:
        return f"ImageDetectionPrediction({self.name or 'array'!r}, {len(self.prediction)} boxes)"


class ImagesDetectionPrediction(Sequence[ImageDetectionPrediction]):
    """Several pictures and what was found in them, in their order.

    The network runs as results are asked for, a batch at a time: iterating begins at once, an index
    runs it up to there, `len` to the end. Boxes are kept; pixels of files only for the last batch,
    and read again when they are asked for, so memory does not grow with the pictures. Pixels of
    arrays are kept.

    Pictures of a folder that cannot be read are not in it, but in `unreadable`, and a warning names
    them; any other such picture raises `InputError` when its turn comes, as does a folder of which
    nothing can be read.
    """

    def __init__(
        self, batches: Iterator[list[ImageDetectionPrediction]], unreadable: list[InputError]
    ) -> None:
        self._batches = batches
        self._found: list[ImageDetectionPrediction] = []
        self._failure: Exception | None = None
        self._ended = False
        self.unreadable = unreadable

    def __len__(self) -> int:
        while self._advance():
            pass
        return len(self._found)

    @overload
    def __getitem__(self, index: int) -> ImageDetectionPrediction: ...
    @overload
    def __getitem__(self, index: slice) -> list[ImageDetectionPrediction]: ...
    def __getitem__(
        self, index: int | slice
    ) -> ImageDetectionPrediction | list[ImageDetectionPrediction]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        while (index < 0 or index >= len(self._found)) and self._advance():
            pass
        return self._found[index]

    def __iter__(self) -> Iterator[ImageDetectionPrediction]:
        for place in count():
            while place >= len(self._found):
                if not self._advance():
                    return
            yield self._found[place]

    def save(
        self, folder: str | Path, style: Style | None = None, **drawing: Unpack[Drawing]
    ) -> list[Path]:
        """Write all drawn pictures into a folder, as JPEG under their own names. Returns the paths.

        Equal names are numbered. Raises OSError where a file cannot be written.
        """
        return _save(self, Path(folder), ".jpg", style_of(style, drawing))

    def show(
        self,
        style: Style | None = None,
        most: int = SHOWN_AT_ONCE,
        **drawing: Unpack[Drawing],
    ) -> list[Path]:
        """Open the first `most` drawn pictures in the system's viewer. Returns their temporary
        files; a warning says when there are more."""
        first = list(islice(self, most + 1))
        if len(first) > most:
            log.warning("only the first %d pictures are shown; show(most=N) shows N", most)
        style = style_of(style, drawing)
        paths = _save(first[:most], show.temporary_folder(), ".png", style)
        show.open_in_viewer(*paths)
        return paths

    def __repr__(self) -> str:
        more = "" if self._ended else " so far"
        return f"ImagesDetectionPrediction({len(self._found)} pictures{more})"

    def _advance(self) -> bool:
        """One batch more; False at the end. What has failed fails again."""
        if self._failure is not None:
            raise self._failure
        if self._ended:
            return False
        try:
            self._found += next(self._batches)
        except StopIteration:
            self._ended = True
        except Exception as error:
            self._failure = error
            raise
        return not self._ended


class Names:
    """File names without suffix, each once."""

    def __init__(self, fallback: str) -> None:
        self._fallback = fallback
        self._taken: set[str] = set()

    def of(self, name: str) -> str:
        """The stem of a path or address; numbered where it was given before."""
        stem = _stem(name, self._fallback)
        candidates = (stem if n == 1 else f"{stem}_{n}" for n in count(1))
        free = next(one for one in candidates if one.lower() not in self._taken)
        self._taken.add(free.lower())
        return free


def _save(
    found: Iterable[ImageDetectionPrediction], folder: Path, suffix: str, style: Style
) -> list[Path]:
    names = Names("picture")
    return [one.save(folder / f"{names.of(one.name)}{suffix}", style) for one in found]


def _stem(name: str, fallback: str) -> str:
    return Path(name.partition("?")[0]).stem or fallback
