"""The layout of a picture in a slot: what of it crosses to the main process, and where it lies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Protocol

from detectors.letterbox import Letterbox
from pipeline.core.arrays import U8
from pipeline.core.picture import Picture, RgbPicture
from pipeline.workers.slots import aligned
from stages import picture_change
from stages.health import sample

if TYPE_CHECKING:
    from stages.sources.colour import Colour

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The parts of a stream's pictures that the main process asks for.

    `letterbox`: of the network; None: whole pictures, because somebody draws, keeps or looks at
    them, or because the detector prepares them by itself. `health`, `motion`: who looks at luma.
    """

    letterbox: Letterbox | None
    health: bool = False
    motion: bool = False


class Layout(Protocol):
    """The layout of all pictures of one form; it goes to the other process with the memory."""

    @property
    def slot_bytes(self) -> int:
        """The bytes that one picture takes."""

    def suits(self, picture: Picture) -> bool:
        """True if the picture is of this form."""

    def write(self, picture: Picture, slot: U8) -> None:
        """Write a picture into a slot, (slot_bytes,) uint8."""

    def read(self, slot: U8) -> Picture:
        """The picture in a slot, which it keeps for as long as it is there, and no longer: arrays
        that it gives may be kept for seconds, so they are copies."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The picture at the network's size, made where it was decoded, and what is looked at of its
    luma: pictures of `height` x `width` come to `fit`."""

    height: int
    width: int
    fit: tuple[int, int]
    lumas: tuple[tuple[int, int], ...]
    grids: tuple[tuple[int, int, int], ...]
    """The grids of luma: (pixels apart, rows, columns)."""

    @classmethod
    def of(cls, picture: Picture, letterbox: Letterbox, wanted: Wanted) -> "Fit":
        """For pictures like this one."""
        height, width = size = picture.height, picture.width
        lumas, grids = [], []
        if wanted.health:
            apart_px = sample.grid_apart_px(height)
            rows, columns = picture.luma_grid(apart_px).shape
            grids.append((apart_px, rows, columns))
            lumas.append(sample.luma_size(height, width))
        if wanted.motion:
            lumas.append(picture_change.luma_size(height, width))
        return cls(*size, letterbox.place(height, width)[1], tuple(lumas), tuple(grids))

    @property
    def shapes(self) -> list[Shape]:
        """The shapes of the arrays in a slot, in order."""
        grids = [(rows, columns) for _, rows, columns in self.grids]
        return [(*self.fit, 3), *self.lumas, *grids]

    @property
    def slot_bytes(self) -> int:
        """See `Layout.slot_bytes`."""
        return _size_bytes(self.shapes)

    def suits(self, picture: Picture) -> bool:
        """See `Layout.suits`."""
        return (picture.height, picture.width) == (self.height, self.width)

    def write(self, picture: Picture, slot: U8) -> None:
        """See `Layout.write`."""
        fit, *looked = _arrays(slot, self.shapes)
        picture.fit(*self.fit, out=fit)
        lumas, grids = looked[: len(self.lumas)], looked[len(self.lumas) :]
        for (rows, columns), array in zip(self.lumas, lumas, strict=True):
            array[:] = picture.luma(rows, columns)
        for (apart_px, _, _), array in zip(self.grids, grids, strict=True):
            array[:] = picture.luma_grid(apart_px)

    def read(self, slot: U8) -> Picture:
        """See `Layout.read`."""
        return FittedPicture(self, slot)


class FittedPicture:
    """A `Picture` of which only the size for the network is there, and some of its luma.

    Another size is made of that one, so it is less sharp; `rgb` cannot be had at all: streams
    whose pictures are drawn upon or kept send them whole.
    """

    __slots__ = ("_layout", "_slot", "height", "width")

    def __init__(self, layout: Fit, slot: U8) -> None:
        self._layout, self._slot = layout, slot
        self.height, self.width = layout.height, layout.width

    def rgb(self) -> U8:
        """Raises `RuntimeError`: whoever asks has not said so beforehand."""
        raise RuntimeError("only the network's size of this picture has left its worker process")

    def fit(self, height: int, width: int, out: U8 | None = None) -> U8:
        """See `Picture.fit`."""
        fit = self._layout.fit
        made = self._slot[: prod(fit) * 3].reshape(*fit, 3)
        if (height, width) != fit:
            return RgbPicture(made).fit(height, width, out)
        if out is None:
            return made.copy()
        out[:] = made
        return out

    def luma(self, height: int, width: int) -> U8:
        """See `Picture.luma`."""
        lumas = self._layout.lumas
        if (height, width) in lumas:
            return self._array(1 + lumas.index((height, width)))
        return RgbPicture(self.fit(*self._layout.fit)).luma(height, width)

    def luma_grid(self, apart_px: int) -> U8:
        """See `Picture.luma_grid`."""
        steps = [step for step, _, _ in self._layout.grids]
        return self._array(1 + len(self._layout.lumas) + steps.index(apart_px))

    def _array(self, place: int) -> U8:
        return list(_arrays(self._slot, self._layout.shapes))[place].copy()


@dataclass(frozen=True, slots=True)
class Whole:
    """The picture as it was decoded: its planes and their `colour`, or RGB without one."""

    shapes: tuple[Shape, ...]
    colour: "Colour | None"
    turns: int

    @classmethod
    def of(cls, picture: Picture) -> "Whole":
        """For pictures like this one."""
        from stages.sources.planes import YuvPicture

        if isinstance(picture, YuvPicture):
            shapes = tuple(plane.shape for plane in picture.planes)
            return cls(shapes, picture.colour, picture.turns)
        return cls(((picture.height, picture.width, 3),), None, 0)

    @property
    def slot_bytes(self) -> int:
        """See `Layout.slot_bytes`."""
        return _size_bytes(self.shapes)

    def suits(self, picture: Picture) -> bool:
        """See `Layout.suits`."""
        return Whole.of(picture) == self

    def write(self, picture: Picture, slot: U8) -> None:
        """See `Layout.write`."""
        from stages.sources.planes import YuvPicture

        planes = picture.planes if isinstance(picture, YuvPicture) else (picture.rgb(),)
        for plane, array in zip(planes, _arrays(slot, self.shapes), strict=True):
            array[:] = plane

    def read(self, slot: U8) -> Picture:
        """See `Layout.read`."""
        arrays = tuple(_arrays(slot, self.shapes))
        if self.colour is None:
            return _LentPicture(arrays[0])
        from stages.sources.planes import YuvPicture

        return YuvPicture(arrays, self.colour, self.turns)


class _LentPicture(RgbPicture):
    """A picture in a slot, which must come back soon: who wants its pixels may keep them."""

    __slots__ = ()

    def rgb(self) -> U8:
        return self.array.copy()

    def fit(self, height: int, width: int, out: U8 | None = None) -> U8:
        made = super().fit(height, width, out)
        return made.copy() if made is self.array else made


def layout_for(picture: Picture, wanted: Wanted) -> Layout:
    """Choose the layout in which pictures like this one cross."""
    if wanted.letterbox is None:
        return Whole.of(picture)
    return Fit.of(picture, wanted.letterbox, wanted)


def _size_bytes(shapes: Sequence[Shape]) -> int:
    return sum(aligned(prod(shape)) for shape in shapes)


def _arrays(slot: U8, shapes: Sequence[Shape]) -> Iterator[U8]:
    begin = 0
    for shape in shapes:
        yield slot[begin : begin + prod(shape)].reshape(shape)
        begin += aligned(prod(shape))
