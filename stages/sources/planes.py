"""Decoded pictures as they lie in memory: luma and chroma in planes, RGB only as it is wanted."""

import math
import threading
from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import Colorspace

from pipeline.core.arrays import U8
from pipeline.core.picture import Picture, RgbPicture, picked_rows
from stages.sources.colour import FULL_RANGE, HD_LINES, LUMA_SHARES, UNSPECIFIED, Colour

PLANES: Final = {
    "yuv420p": 3, "yuvj420p": 3, "yuv422p": 3, "yuvj422p": 3, "yuv444p": 3, "yuvj444p": 3,
    "nv12": 2, "gray": 1,
}  # fmt: skip
"""Formats whose planes are used as they are, and how many they have: luma, then Cb and Cr, or both
in one. All others (more than 8 bits, packed, RGB) are converted to RGB at once."""
NO_COLOUR: Final = 128


class YuvPicture:
    """A `Picture` over planes of 8 bits, none of which is copied.

    `planes` are luma (H, W), and chroma of any size that covers the same area: Cb and Cr (h, w)
    each, one (h, w, 2) with both, or none for a grey picture. `turns` are the quarter turns to the
    left that bring the picture upright. `frame` is the decoder's, where there is one. The arrays
    keep what they lie in alive: a decoder's buffer goes back to its pool with the last of them, and
    is not written to before that.
    """

    __slots__ = ("_frame", "_rgb", "colour", "height", "planes", "turns", "width")

    def __init__(
        self,
        planes: tuple[U8, ...],
        colour: Colour,
        turns: int = 0,
        frame: VideoFrame | None = None,
    ) -> None:
        self.planes, self.colour, self.turns = planes, colour, turns % 4
        self._frame = frame
        rows, columns = planes[0].shape
        self.height, self.width = (columns, rows) if turns % 2 else (rows, columns)
        self._rgb: U8 | None = None

    def rgb(self) -> U8:
        """See `Picture.rgb`. Each chroma value holds for all pixels that it covers."""
        if self._rgb is None:
            frame = self._frame or _frame_of(self.planes, self.colour)
            self._rgb = self._turned(_converted(frame))
        return self._rgb

    def fit(self, height: int, width: int, out: U8 | None = None) -> U8:
        """See `Picture.fit`: each plane is resized, then converted."""
        if self.turns or out is None:
            rows, columns = (width, height) if self.turns % 2 else (height, width)
            turned = self._turned(self._fit(np.empty((rows, columns, 3), np.uint8)))
            if out is None:
                return turned
            out[:] = turned
            return out
        return self._fit(out)

    def _fit(self, out: U8) -> U8:
        """The picture as it lies into `out`. OpenCV lets go of Python's lock once for each call
        that is given memory, and twice for one that makes its own."""
        rows, columns, _ = out.shape
        whole = [_resized(plane, part) for plane, part in _OWN.parts(self.planes, rows, columns)]
        if len(whole) == 1:
            whole = [whole[0], *[np.full_like(whole[0], NO_COLOUR)] * 2]
        cv2.transform(cv2.merge(whole, _OWN.pixels(rows, columns)), self.colour.to_rgb, out)
        return out

    def luma(self, height: int, width: int) -> U8:
        """See `Picture.luma`."""
        rows, columns = (width, height) if self.turns % 2 else (height, width)
        picked = self.planes[0][picked_rows(len(self.planes[0]), rows)]
        strip = np.asarray(cv2.resize(picked, (columns, rows), interpolation=cv2.INTER_AREA))
        grey = self.colour.grey
        return self._turned(strip.astype(np.uint8, copy=False) if grey is None else grey[strip])

    def luma_grid(self, apart_px: int) -> U8:
        """See `Picture.luma_grid`."""
        start = apart_px // 2
        return self._turned(self.planes[0][start::apart_px, start::apart_px].copy())

    def _turned(self, image: U8) -> U8:
        turned = np.rot90(image, self.turns) if self.turns else image
        return np.ascontiguousarray(turned, dtype=np.uint8)


class _Own(threading.local):
    """The memory of one thread for planes between two steps, as much as its largest picture."""

    def __init__(self) -> None:
        self._bytes: U8 = np.empty(0, np.uint8)

    def parts(self, planes: tuple[U8, ...], rows: int, columns: int) -> Iterator[tuple[U8, U8]]:
        """Each plane, and memory for it in that size. It is the caller's until the same thread asks
        for the next picture's."""
        area = rows * columns
        if len(self._bytes) < 6 * area:
            self._bytes = np.empty(6 * area, np.uint8)
        start = 0
        for plane in planes:
            shape = (rows, columns, *plane.shape[2:])
            end = start + area * math.prod(plane.shape[2:])
            yield plane, self._bytes[start:end].reshape(shape)
            start = end

    def pixels(self, rows: int, columns: int) -> U8:
        """Memory for all three channels of the picture that `parts` was asked for."""
        return self._bytes[3 * rows * columns : 6 * rows * columns].reshape(rows, columns, 3)


_OWN: Final = _Own()


def _resized(plane: U8, into: U8) -> U8:
    """The plane in the size of `into`, where it is made unless it has it already."""
    if plane.shape == into.shape:
        return plane
    size = into.shape[1::-1]
    return np.asarray(cv2.resize(plane, size, into, interpolation=cv2.INTER_LINEAR), np.uint8)


def picture_of(frame: VideoFrame) -> Picture:
    """The picture that a decoder gave, without copying it where its form allows. A matrix that is
    none of `LUMA_SHARES` counts as not named: FFmpeg would refuse the picture."""
    if frame.colorspace not in LUMA_SHARES and not frame.format.is_rgb:
        frame.colorspace = UNSPECIFIED
    planes = _views(frame)
    if planes is None:
        return RgbPicture(to_rgb(frame))
    full = frame.color_range == FULL_RANGE or frame.format.name.startswith(("yuvj", "gray"))
    colour = Colour.of(frame.colorspace, full, frame.height)
    return YuvPicture(planes, colour, frame.rotation // 90, frame)


def to_rgb(frame: VideoFrame) -> U8:
    """The picture as (height, width, 3) uint8 RGB, contiguous, upright.

    swscale does it, with the matrix and range that the stream names (BT.601, BT.709, BT.2020; full
    or limited); where no matrix is named, with that of `Colour.of`. swscale alone would take BT.601
    always.
    """
    image = _converted(frame)
    turned = np.rot90(image, frame.rotation // 90) if frame.rotation % 360 else image
    return np.ascontiguousarray(turned, dtype=np.uint8)


def _converted(frame: VideoFrame) -> U8:
    """As it lies. One thread: streams already run in parallel."""
    guess_hd = frame.colorspace == UNSPECIFIED and frame.height >= HD_LINES
    image = frame.to_ndarray(
        format="rgb24", src_colorspace=Colorspace.ITU709 if guess_hd else None, threads=1
    )
    return np.asarray(image, np.uint8)


def _views(frame: VideoFrame) -> tuple[U8, ...] | None:
    """The planes of a frame; None: they are of another form, or lie upside down."""
    count = PLANES.get(frame.format.name)
    if count is None:
        return None
    views: list[U8] = []
    for plane in frame.planes[:count]:
        if plane.line_size <= 0:
            return None
        rows = _rows_of(plane)
        if count == 2 and views:
            views.append(rows[:, : 2 * plane.width].reshape(plane.height, plane.width, 2))
        else:
            views.append(rows[:, : plane.width])
    return tuple(views)


def _rows_of(plane: VideoPlane) -> U8:
    """(height, line size) uint8: the memory of a plane, which it keeps alive."""
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)


def _frame_of(planes: tuple[U8, ...], colour: Colour) -> VideoFrame:
    """A frame with a copy of these planes; chroma is that of 4:2:0 unless it tells otherwise."""
    height, width = planes[0].shape
    frame = VideoFrame(width, height, _format_of(planes))
    for plane, values in zip(frame.planes, planes, strict=True):
        flat = values.reshape(len(values), -1)
        _rows_of(plane)[:, : flat.shape[1]] = flat
    frame.colorspace, frame.color_range = colour.matrix, FULL_RANGE if colour.full_range else 1
    return frame


def _format_of(planes: tuple[U8, ...]) -> str:
    if len(planes) != 3:
        return "nv12" if len(planes) == 2 else "gray"
    (height, width), (rows, columns) = planes[0].shape, planes[1].shape
    return {(0, 0): "yuv444p", (0, 1): "yuv422p"}.get((rows < height, columns < width), "yuv420p")
