"""RTSP cameras: one connection per object, capture times from the camera's own clock."""

import errno
import sys
import threading
import time
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Final, Literal

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from pipeline.core.clock import Clock, Moment, SystemClock
from pipeline.core.errors import (
    DecodeError,
    SourceDenied,
    SourceError,
    SourceRefused,
    SourceUnavailable,
)
from pipeline.core.frame import Frame, FrameInfo
from pipeline.core.log import get_logger, redact
from stages.base import Counts, Decode, Hwaccel
from stages.sources.address import CameraAddress
from stages.sources.capture_clock import CaptureClock
from stages.sources.decode import Decoded, Decoding, PictureTooLarge, pick_video
from stages.sources.hardware import Hardware
from stages.sources.timing import LONGEST_LIVE_GAP_NS
from stages.sources.tls import Tls

if TYPE_CHECKING:
    from stages.evidence.ring import PacketTap

_LOG = get_logger(__name__)

MAX_PIXELS: Final = 16_777_216
"""4096 x 4096; 50 MB as RGB."""
UDP_BUFFER_BYTES: Final = 4_194_304
"""Room for a key frame that comes at once; FFmpeg's own 64 KB lose a part of it."""


class _Silence(Exception):
    """Nothing came for as long as the camera may be silent."""


class RtspSource:
    """One connection to a camera, as a live `Source`.

    `user` and `password` are given as people type them; no message ever holds them. Every end that
    `close` did not ask for is `SourceUnavailable` (`SourceRefused` or `SourceDenied` where the
    camera says no), or `DecodeError` if it has no video, or none that can be decoded.

    Deadlines: `open_timeout_s` to connect and `read_timeout_s` for the description, then
    `read_timeout_s` between two packets. `picture_timeout_s` is how long packets may come without
    a first picture, which a camera begins at its next key frame; later on, without one that can be
    decoded, they may come for `read_timeout_s`, or where only key frames are decoded for
    `picture_timeout_s` again. So long may it be also from one picture that is given to the next, if
    all between them are damaged: a new connection often begins with a key frame.

    `hwaccel` is what decodes, see `Hardware`. A device that is named and cannot be had, or does not
    decode this video, ends the connection with an error. `tap` gets the packets.

    Pictures that are larger than `max_pixels`, or damaged without `pass_corrupt`, are never given,
    and nothing stands in for them. Each size of pictures has an epoch of its own, from `epoch` on.

    `close` cannot interrupt FFmpeg: PyAV has no call for it. `frames` ends at the next packet,
    which is one frame period while the camera sends, and otherwise at a deadline. FFmpeg has been
    seen to overstay all of these on a hung server, so the caller runs `frames` in a daemon thread
    that it can abandon.
    """

    live = True
    frame_count: int | None = None

    def __init__(
        self,
        stream_id: str,
        url: str,
        *,
        user: str | None = None,
        password: str | None = None,
        transport: Literal["tcp", "udp"] = "tcp",
        tls: Tls | None = None,
        open_timeout_s: float = 5.0,
        read_timeout_s: float = 5.0,
        picture_timeout_s: float = 60.0,
        max_pixels: int = MAX_PIXELS,
        pass_corrupt: bool = False,
        decode: Decode = "all",
        hwaccel: Hwaccel = "none",
        epoch: int = 0,
        first_seq: int = 0,
        fps: float | None = None,
        clock: Clock | None = None,
        tap: "PacketTap | None" = None,
    ) -> None:
        self.stream_id = stream_id
        self.counts = Counts()
        self._tap = tap
        try:
            self.address = CameraAddress.parse(url, user, password)
        except ValueError as error:
            raise SourceUnavailable(stream_id, str(error)) from None
        self._transport, self._tls = transport, tls or Tls()
        self._open_timeout_s, self._read_timeout_s = open_timeout_s, read_timeout_s
        self._picture_timeout_s, self._max_pixels = picture_timeout_s, max_pixels
        self._pass_corrupt, self._decode = pass_corrupt, decode
        self._hardware = Hardware(stream_id, hwaccel)
        self._epoch, self._first_seq, self._fps = epoch, first_seq, fps
        self._size: tuple[int, ...] | None = None
        self._clock = clock or SystemClock()
        self._opened = Moment.of(self._clock)
        self._capture_clock = CaptureClock(self._opened)
        self._jumps = 0
        self._stopped = threading.Event()
        self._decoding: Decoding | None = None
        self._frames_seen = self._whole_seen = 0
        self._frame_s = self._whole_s = time.monotonic()

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`."""
        # Raised only out here: an error of FFmpeg, even as a context, holds the address.
        container, failure = self._open()
        if container is not None:
            with container:
                failure = yield from self._pictures(container)
        if not self._stopped.is_set():
            raise failure or self._unavailable("the camera closed the connection")

    def _pictures(self, container: InputContainer) -> Generator[Frame, None, SourceError | None]:
        """Why it ended; None: the connection was closed."""
        if self._stopped.is_set():
            return None
        try:
            stream = pick_video(self.stream_id, container, self.address.shown)
            if stream.width * stream.height > self._max_pixels:
                raise PictureTooLarge(stream.width, stream.height)
            self._decoding = Decoding(
                container, stream, self.counts, self._stopped,
                fps=self._fps, on_packet=self._observe, max_pixels=self._max_pixels,
                longest_gap_ns=LONGEST_LIVE_GAP_NS, lossy=True,
                pass_corrupt=self._pass_corrupt, decode=self._decode,
                hardware=self._hardware, tap=self._tap,
            )  # fmt: skip
            self._capture_clock = CaptureClock(self._opened, self._decoding.period_ns)
            self._frame_s = self._whole_s = time.monotonic()
            for picture in self._decoding.pictures():
                yield self._frame(picture)
        except (_Silence, av.error.ExitError, av.error.TimeoutError):
            return self._unavailable(f"no data for {self._read_timeout_s:g} s")
        except av.error.FFmpegError as error:
            return self._unavailable(f"the connection broke ({error.strerror})")
        except PictureTooLarge as error:
            return self._undecodable(f"{error} pixels are more than the stream may have")
        except SourceError as error:
            return error
        finally:
            self._decoding = None  # each holds the other, and the decoder its pictures
        return None

    def close(self) -> None:
        """See `Source.close`, and the class for how soon."""
        self._stopped.set()

    def _open(self) -> tuple[InputContainer | None, SourceError | None]:
        began_s = time.monotonic()
        self._opened = Moment.of(self._clock)
        try:
            container = av.open(
                self.address.url,
                options=self._options(),
                timeout=(self._open_timeout_s, self._read_timeout_s),
                metadata_errors="replace",
                hwaccel=self._hardware.open(),
            )
        except SourceError as error:
            return None, error
        except av.error.FFmpegError as error:
            return None, self._not_opened(error, time.monotonic() - began_s)
        except OSError as error:
            return None, self._unavailable(f"tls.ca_file cannot be read: {error.strerror}")
        return container, None

    def _options(self) -> dict[str, str]:
        # Both timeouts: PyAV's bounds every call, FFmpeg's own (microseconds) bounds the socket,
        # and each has been seen to work where the other did not.
        options = {
            "rtsp_transport": self._transport,
            "allowed_media_types": "video",
            "timeout": str(round(self._read_timeout_s * 1e6)),
            "max_pixels": str(self._max_pixels),
        }
        if self._transport == "udp":
            options["buffer_size"] = str(UDP_BUFFER_BYTES)
        if self.address.url.startswith("rtsps:"):
            options |= self._tls.options()
        return options

    def _observe(self, packet: "Packet[VideoStream]", waited_s: float) -> None:
        if waited_s >= self._read_timeout_s:  # FFmpeg gives the last packet, and waits once more
            raise _Silence
        self._note_report(packet)
        self._check_that_pictures_come(waited_s)

    def _note_report(self, packet: "Packet[VideoStream]") -> None:
        assert self._decoding is not None
        stamp_ns = self._decoding.stream_ns(packet)
        if stamp_ns is not None and packet.has_sidedata("prft"):
            report = bytes(packet.get_sidedata("prft"))  # AVProducerReferenceTime
            wall_us = int.from_bytes(report[:8], sys.byteorder, signed=True)
            self._capture_clock.report(stamp_ns, wall_us * 1000)

    def _check_that_pictures_come(self, waited_s: float) -> None:
        assert self._decoding is not None
        now_s, frames = time.monotonic(), self._decoding.frames_total
        whole = frames - self.counts.withheld_total
        if frames != self._frames_seen:
            self._frames_seen, self._frame_s = frames, now_s
        if whole != self._whole_seen:
            self._whole_seen, self._whole_s = whole, now_s
        often = frames and self._decode != "keyframes"
        limit_s = self._read_timeout_s if often else self._picture_timeout_s
        if now_s - self._frame_s - waited_s > limit_s:
            raise self._no_picture("picture", limit_s)
        whole_limit_s = max(self._picture_timeout_s, self._read_timeout_s)
        if now_s - self._whole_s - waited_s > whole_limit_s:
            raise self._no_picture("whole picture", whole_limit_s)

    def _no_picture(self, what: str, limit_s: float) -> DecodeError:
        damaged = self.counts.corrupt_total
        why = f"data comes, but no {what} for {limit_s:g} s ({damaged} damaged so far)"
        return self._undecodable(why)

    def _frame(self, decoded: Decoded) -> Frame:
        now = Moment.of(self._clock)
        if decoded.jumps != self._jumps:
            self._epoch += decoded.jumps - self._jumps
            self._jumps = decoded.jumps
            self._capture_clock.jump(decoded.pts_ns, now)
            _LOG.info("stream %r: its time jumped: a new epoch", self.stream_id)
        capture = self._capture_clock.capture(decoded.stamp_ns, now)
        self.counts.times.clock_offset_ns = self._capture_clock.offset_ns
        picture = decoded.picture
        height, width = size = picture.height, picture.width
        if self._size is not None and size != self._size:
            self._epoch += 1
            was = f"{self._size[1]}x{self._size[0]}"
            _LOG.info("stream %r: pictures of %s are now %dx%d", self.stream_id, was, width, height)
        self._size = size
        info = FrameInfo(
            stream_id=self.stream_id,
            epoch=self._epoch,
            seq=self._first_seq + decoded.index,
            pts_ns=decoded.pts_ns,
            captured_ns=capture.utc_ns,
            arrived_ns=now.utc_ns,
            clock=capture.clock,
            uncertainty_ns=capture.uncertainty_ns,
            width=width,
            height=height,
        )
        return Frame(info, picture)

    def _not_opened(self, error: av.error.FFmpegError, waited_s: float) -> SourceError:
        match error:
            case av.error.HTTPUnauthorizedError() | av.error.HTTPForbiddenError():
                return self._denied()
            case av.error.HTTPNotFoundError():
                return self._refused("the camera has no stream at this path (404)")
            case av.error.ConnectionRefusedError():
                why = f"connection refused: nothing listens at {self.address.host}"
            case av.error.ExitError() | av.error.TimeoutError():
                why = f"no answer within {waited_s:.1f} s"
            case av.error.InvalidDataError() if waited_s >= self._shorter_timeout_s():
                why = f"no answer within {waited_s:.1f} s"
            case av.error.InvalidDataError():
                why = "it answers, but not with a video stream"
            case av.error.OSError(errno=errno.EIO) if self.address.url.startswith("rtsps:"):
                why = "no encrypted connection: is its certificate valid, and known by tls.ca_file?"
            case _:
                why = f"cannot connect: is the host name right? ({error.strerror})"
        return self._unavailable(why)

    def _shorter_timeout_s(self) -> float:
        return min(self._open_timeout_s, self._read_timeout_s)

    def _denied(self) -> SourceDenied:
        given = "@" in self.address.url.split("/", 3)[2]
        why = "refused the user name or password" if given else "wants a user name and a password"
        return SourceDenied(self.stream_id, redact(f"{self.address.shown}: the camera {why}"))

    def _undecodable(self, why: str) -> DecodeError:
        return DecodeError(self.stream_id, redact(f"{self.address.shown}: {why}"))

    def _refused(self, why: str) -> SourceRefused:
        return SourceRefused(self.stream_id, redact(f"{self.address.shown}: {why}"))

    def _unavailable(self, why: str) -> SourceUnavailable:
        return SourceUnavailable(self.stream_id, redact(f"{self.address.shown}: {why}"))
