"""What can be given to `predict`, and how it becomes pictures.

Pixels are (H, W, 3) uint8 RGB. Files and addresses are decoded by OpenCV, which turns them upright
as their EXIF says; arrays, tensors and Pillow images are taken as they are.
"""

from __future__ import annotations

import http.client
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from pipeline.core.arrays import U8, AnyArray
from pipeline.core.errors import EyrieError
from pipeline.core.log import redact
from pipeline.core.picture_files import (
    PICTURE_SUFFIXES,
    Unreadable,
    decode_picture,
    files_in,
    read_picture,
)

LARGEST_DOWNLOAD_BYTES = 64 * 2**20
ANSWER_WITHIN_S = 15.0
DOWNLOAD_WITHIN_S = 60.0
CHUNK_BYTES = 2**16
BATCH_BYTES = 256 * 2**20
RGB = 3
RGBA = 4
BATCH_DIMENSIONS = 4
ADDRESSES = ("http://", "https://")


class InputError(EyrieError, ValueError):
    """What was given is not a picture or video, or cannot be read."""


class Picture:
    """One picture, read when it is wanted. `name` is its path or address, empty for an array.

    `read` gives its pixels, each time anew, and raises `InputError`.
    """

    def __init__(self, name: str, read: Callable[[], U8], *, in_memory: bool = False) -> None:
        self.name = name
        self._read = read
        self._in_memory = in_memory
        self._held: U8 | None = None

    @property
    def image(self) -> U8:
        """(H, W, 3) uint8 RGB: held, or read again. Raises `InputError`."""
        return self._read() if self._held is None else self._held

    def hold(self) -> U8:
        """Its pixels, kept until `release`."""
        self._held = self.image
        return self._held

    def release(self) -> None:
        """Let go of pixels that can be read again."""
        if not self._in_memory:
            self._held = None


class Pictures:
    """Several pictures, found one after the other, and whether unreadable ones are left out."""

    def __init__(self, items: Iterable[Picture], *, skip_unreadable: bool = False) -> None:
        self.items = items
        self.skip_unreadable = skip_unreadable


def picture(given: Any) -> Picture:
    """One picture from a path, an address, an array, a tensor or a Pillow image.

    Nothing of a path or an address is looked at yet. Raises `InputError` for all else.
    """
    if isinstance(given, Picture):
        return given
    if isinstance(given, (str, Path)):
        text = str(given)
        if text.lower().startswith(ADDRESSES):
            return Picture(redact(text), lambda: download(text))
        return Picture(text, lambda: read_file(Path(text)))
    array = _pixels(given)
    return Picture("", lambda: array, in_memory=True)


def is_one_picture(given: Any) -> bool:
    """Whether it is a single picture by its type, rather than several."""
    if isinstance(given, (str, Path, Picture)) or _is_pillow(given):
        return True
    return hasattr(given, "shape") and len(given.shape) < BATCH_DIMENSIONS


def pictures(given: Any) -> Pictures:
    """Several pictures: of a list, an iterator or a batch (B, H, W, 3) or (B, 3, H, W).

    An element that is a folder stands for the pictures in it. Raises `InputError`.
    """
    if isinstance(given, Pictures):
        return given
    if not isinstance(given, Iterable):
        raise InputError(f"a {type(given).__name__} is not a picture, nor several, nor a video")
    return Pictures(one for element in given for one in _each(element))


def folder(path: Path) -> Pictures:
    """The pictures directly in a folder, by name; unreadable ones are left out.

    Raises `InputError` when there are none.
    """
    try:
        files = files_in(path, PICTURE_SUFFIXES)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    if not files:
        raise InputError(
            f"{path}: no pictures in this folder ({' '.join(sorted(PICTURE_SUFFIXES))})"
        )
    return Pictures(map(picture, files), skip_unreadable=True)


def batches(
    found: Pictures, size: int, unreadable: Callable[[InputError], None]
) -> Iterator[list[Picture]]:
    """Pictures that hold their pixels, at most `size` and `BATCH_BYTES` of them at a time.

    The pixels of a batch are let go before the next one is read. `unreadable` is told of each
    picture that is left out. Raises `InputError` for one that must not be.
    """
    batch: list[Picture] = []
    for one in found.items:
        try:
            nbytes = one.hold().nbytes
        except InputError as error:
            if not found.skip_unreadable:
                raise
            unreadable(error)
            continue
        batch.append(one)
        if len(batch) == size or nbytes * (len(batch) + 1) > BATCH_BYTES:
            yield batch
            _let_go(batch)
    if batch:
        yield batch
        _let_go(batch)


def _let_go(batch: list[Picture]) -> None:
    """Empties the list itself too: whoever was handed it still has it."""
    for done in batch:
        done.release()
    batch.clear()


def read_file(path: Path) -> U8:
    """A picture file as (H, W, 3) uint8 RGB, upright. Raises `InputError` that names it."""
    try:
        return read_picture(path)
    except Unreadable as error:
        raise InputError(f"{path}: {error}") from error


def download(url: str) -> U8:
    """The picture at an http or https address. Raises `InputError`.

    Nothing is stored. At most `LARGEST_DOWNLOAD_BYTES` are taken, within `DOWNLOAD_WITHIN_S`.
    """
    shown = redact(url)
    until_s = time.monotonic() + DOWNLOAD_WITHIN_S
    data = bytearray()
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "eyrie"})
        with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_S) as answer:
            if urlsplit(answer.url).scheme not in ("http", "https"):
                raise InputError(f"{shown}: leads to another kind of address")
            while chunk := answer.read(CHUNK_BYTES):
                data += chunk
                if len(data) > LARGEST_DOWNLOAD_BYTES:
                    raise InputError(f"{shown}: more than {LARGEST_DOWNLOAD_BYTES >> 20} MiB")
                if time.monotonic() > until_s:
                    raise InputError(f"{shown}: took more than {DOWNLOAD_WITHIN_S:.0f} s")
    except urllib.error.HTTPError as error:
        with error:
            raise InputError(f"{shown}: the server answers {error.code} {error.reason}") from error
    except InputError:
        raise
    except (OSError, ValueError, http.client.HTTPException) as error:
        why = getattr(error, "reason", None) or error
        raise InputError(f"{shown}: cannot be fetched: {why}") from error
    try:
        return decode_picture(bytes(data))
    except Unreadable as error:
        raise InputError(f"{shown}: {error}") from error


def _each(element: Any) -> Iterator[Picture]:
    if isinstance(element, (str, Path)) and Path(element).is_dir():
        yield from folder(Path(element)).items
    else:
        yield picture(element)


def _is_pillow(given: Any) -> bool:
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(given, pillow.Image)


def _pixels(given: Any) -> U8:
    """An array, tensor or Pillow image as (H, W, 3) uint8 RGB. Raises `InputError`."""
    if _is_pillow(given):
        try:
            return np.asarray(given.convert("RGB"), np.uint8)
        except OSError as error:
            raise InputError(f"a Pillow image cannot be read: {error}") from error
    if hasattr(given, "detach"):  # a torch tensor, without importing torch to say so
        values = given.detach().cpu()
        array = (values.float() if values.is_floating_point() else values).numpy()
        return _levels(_channels_last(array, first=-3))
    if isinstance(given, np.ndarray):
        return _levels(_channels_last(given, first=-1))
    raise InputError(
        f"a {type(given).__name__} is not a picture: give a path, an address, an array, a tensor "
        "or a Pillow image"
    )


def _channels_last(array: AnyArray, first: int) -> AnyArray:
    """(H, W, 3) from (H, W), (H, W, 3) or (3, H, W); `first` is the axis preferred for channels."""
    if array.ndim == 2:
        return np.repeat(array[..., None], RGB, axis=2)
    if array.ndim == 3 and min(array.shape) > 0:
        for axis in (first, -1, -3):
            if array.shape[axis] == RGB:
                return array if axis == -1 else np.moveaxis(array, axis, -1)
    way_out = "; of RGBA give array[..., :3]" if array.ndim == 3 and array.shape[-1] == RGBA else ""
    raise InputError(
        f"an array of shape {array.shape} is not a picture (H, W, 3) or (3, H, W){way_out}"
    )


def _levels(array: AnyArray) -> U8:
    """uint8 as it is, floating point from 0 to 1 as 0 to 255."""
    if array.size == 0:
        raise InputError(f"an array of shape {array.shape} holds no pixels")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"pixels are {array.dtype}: give uint8, or floating point from 0 to 1")
    if not (array.min() >= 0 and array.max() <= 1):
        raise InputError(
            "floating-point pixels must be from 0 to 1, found "
            f"{array.min():.4g} to {array.max():.4g}; divide by 255 or give uint8"
        )
    levels: U8 = np.rint(array.astype(np.float32) * np.float32(255)).astype(np.uint8)
    return levels
