"""Decoding by a device, such as a GPU: which one is asked for, which is used, and why none is."""

from typing import Final

import av
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.video.codeccontext import VideoCodecContext

from pipeline.core.errors import DecodeError, SourceUnavailable
from stages.base import Decoder, Hwaccel

KINDS: Final[tuple[Hwaccel, ...]] = ("cuda", "vaapi")
"""The devices that `auto` tries, in this order."""
_NOT_PERMITTED: Final = 1
"""EPERM is FFmpeg's word for a driver library that is not there, or lacks a function."""


class NoDevice(Exception):
    """A kind of device that cannot be had here; the text says why."""


def device(kind: Hwaccel) -> HWAccel:
    """The options by which `av.open` decodes by this device, its pictures brought to system memory.

    The device was tried: this takes as long as making a context on it. Raises `NoDevice`.
    """
    if kind not in hwdevices_available():
        raise NoDevice(f"the FFmpeg of PyAV {av.__version__} was built without {kind}")
    accel = HWAccel(kind, allow_software_fallback=True)
    try:
        accel.create(av.Codec("h264", "r"))
    except NotImplementedError:
        raise NoDevice(f"PyAV {av.__version__} decodes no H.264 by {kind}") from None
    except av.error.FFmpegError as error:
        what = (
            "its driver is not installed, or too old"
            if error.errno == _NOT_PERMITTED
            else f"{error.strerror}"
        )
        raise NoDevice(f"no {kind} device answers ({what})") from None
    return accel


class Hardware:
    """The device of one connection. `asked` names a kind, which then must decode; with `auto`,
    software stands in, and `decoder` says why; `none` is software."""

    def __init__(self, stream_id: str, asked: Hwaccel) -> None:
        self._stream_id, self._asked = stream_id, asked
        self._kind: Hwaccel | None = None
        self._by_device: bool | None = None
        self._decoder = Decoder(asked)

    def open(self) -> HWAccel | None:
        """The options for `av.open`; None: software. Raises `SourceUnavailable` where a device that
        is named cannot be had. Blocks until the device has answered."""
        kinds = () if self._asked == "none" else KINDS if self._asked == "auto" else (self._asked,)
        lacks = []
        for kind in kinds:
            try:
                accel = device(kind)
            except NoDevice as error:
                lacks.append(str(error))
            else:
                self._kind = kind
                return accel
        why = "; ".join(lacks)
        if lacks and self._asked != "auto":
            raise SourceUnavailable(self._stream_id, f"hwaccel {self._asked}: {why}")
        self._decoder = Decoder(self._asked, why=why)
        return None

    @property
    def in_use(self) -> bool:
        """True if a device was opened; it may still refuse the video."""
        return self._kind is not None

    def decoder(self, context: VideoCodecContext) -> Decoder:
        """The decoder of the newest picture. Raises `DecodeError` where a device that is named did
        not: FFmpeg decodes in software what the device cannot, and tells nobody."""
        if self._kind is not None:
            by_device = context.is_hwaccel and context.pix_fmt == self._kind
            if by_device != self._by_device:  # the first picture, or the stream has changed
                self._by_device = by_device
                self._decoder = self._told(self._kind, by_device, context)
        return self._decoder

    def _told(self, kind: Hwaccel, by_device: bool, context: VideoCodecContext) -> Decoder:
        if by_device:
            return Decoder(self._asked, used=kind)
        video = f"{context.name}, {context.width}x{context.height}"
        if context.is_hwaccel:
            video += f", {context.pix_fmt}"
        why = f"the {kind} device does not decode this video ({video})"
        if self._asked != "auto":
            raise DecodeError(self._stream_id, f"hwaccel {self._asked}: {why}")
        return Decoder(self._asked, why=why)
