"""RTSP cameras: one connection per object, capture times from the camera's own clock."""

import sys
import threading
import time
from collections.abc import Iterator
from typing import Final, Literal

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from pipeline.core.clock import Clock, ClockSource, SystemClock
from pipeline.core.errors import SourceError, SourceRefused, SourceUnavailable
from pipeline.core.frame import Frame, FrameInfo
from pipeline.core.log import get_logger, redact
from stages.base import Counts
from stages.sources.address import CameraAddress
from stages.sources.decode import Decoding, Picture, pick_video
from stages.sources.timing import SECOND_NS, to_ns

_LOG = get_logger(__name__)

ARRIVAL_UNCERTAINTY_NS: Final = SECOND_NS
"""Network, jitter buffer and decoder; the first pictures waited while the stream was probed."""
CLOCK_SANE_NS: Final = 3600 * SECOND_NS
"""A camera further off than this has an unset clock or a wrong time zone."""


class CameraClock:
    """Wall clock of the exposure, from the camera's RTCP sender reports.

    FFmpeg puts `prft` (producer reference time, int64 µs since 1970) on each packet after the
    first report, 0.6 to 3 s after connecting; some cameras never send one. Only the offset from
    stream time is kept, so that reordered pictures are stamped right, and it follows drift.
    """

    def __init__(self, stream_id: str) -> None:
        self._stream_id = stream_id
        self._offset_ns: int | None = None
        self._warned = False

    def learn(self, stamp_ns: int, wall_us: int) -> None:
        """The camera says: stream time `stamp_ns` is `wall_us` on its clock."""
        self._offset_ns = wall_us * 1000 - stamp_ns

    def stamp(self, stamp_ns: int | None, arrived_ns: int) -> tuple[int, ClockSource, int]:
        """(captured_ns, clock, uncertainty_ns) of a picture with stream timestamp `stamp_ns`.

        With a report, the uncertainty is the distance to the arrival: delay and disagreement of
        the two clocks cannot be told apart, and it bounds both.
        """
        if self._offset_ns is None or stamp_ns is None:
            return arrived_ns, "arrival", ARRIVAL_UNCERTAINTY_NS
        captured_ns = stamp_ns + self._offset_ns
        off_ns = abs(arrived_ns - captured_ns)
        if off_ns <= CLOCK_SANE_NS:
            return captured_ns, "rtcp", off_ns
        if not self._warned:
            self._warned = True
            _LOG.warning(
                "stream %r: the camera's clock is off by %d s; using times of arrival",
                self._stream_id, off_ns // SECOND_NS,
            )  # fmt: skip
        return arrived_ns, "arrival", ARRIVAL_UNCERTAINTY_NS


class RtspSource:
    """One connection to a camera, as a live `Source`.

    `user` and `password` are given as people type them; no message ever holds them. Every end that
    `close` did not ask for is `SourceUnavailable` (`SourceRefused` where the camera says no), or
    `DecodeError` if it has no video.

    `close` cannot interrupt FFmpeg: PyAV has no call for it. `frames` ends at the next packet,
    which is one frame period while the camera sends, and otherwise within `open_timeout_s` or
    `read_timeout_s`; a camera that hangs costs the read timeout twice, for FFmpeg says goodbye to
    it. FFmpeg has been seen to overstay all of these on a hung server, so the caller should run
    `frames` in a daemon thread that it can abandon.
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
        open_timeout_s: float = 5.0,
        read_timeout_s: float = 5.0,
        epoch: int = 0,
        first_seq: int = 0,
        fps: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.stream_id = stream_id
        self.counts = Counts()
        try:
            self.address = CameraAddress.parse(url, user, password)
        except ValueError as error:
            raise SourceUnavailable(stream_id, str(error)) from None
        self._transport = transport
        self._open_timeout_s, self._read_timeout_s = open_timeout_s, read_timeout_s
        self._epoch, self._first_seq, self._fps = epoch, first_seq, fps
        self._clock = clock or SystemClock()
        self._camera_clock = CameraClock(stream_id)
        self._stopped = threading.Event()

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`."""
        with self._open() as container:
            if self._stopped.is_set():
                return
            stream = pick_video(self.stream_id, container, self.address.shown)
            decoding = Decoding(
                container, stream, self.counts, self._stopped,
                fps=self._fps, on_packet=self._observe,
            )  # fmt: skip
            try:
                for picture in decoding.pictures():
                    yield self._frame(picture)
            except av.error.FFmpegError as error:
                if self._stopped.is_set():
                    return
                raise self._lost(error) from None
        if not self._stopped.is_set():
            raise self._unavailable("the camera closed the connection")

    def close(self) -> None:
        """See `Source.close`, and the class for how soon."""
        self._stopped.set()

    def _open(self) -> InputContainer:
        # Both timeouts: PyAV's bounds every call, FFmpeg's own (microseconds) bounds the socket,
        # and each has been seen to work where the other did not.
        options = {
            "rtsp_transport": self._transport,
            "allowed_media_types": "video",
            "timeout": str(round(self._read_timeout_s * 1e6)),
        }
        began_s = time.monotonic()
        try:
            return av.open(
                self.address.url,
                options=options,
                timeout=(self._open_timeout_s, self._read_timeout_s),
            )
        except av.error.FFmpegError as error:
            waited_s = time.monotonic() - began_s
            raise self._not_opened(error, waited_s) from None  # the cause's text holds the address

    def _observe(self, packet: "Packet[VideoStream]") -> None:
        if packet.pts is not None and packet.time_base and packet.has_sidedata("prft"):
            report = bytes(packet.get_sidedata("prft"))
            wall_us = int.from_bytes(report[:8], sys.byteorder, signed=True)
            self._camera_clock.learn(to_ns(packet.pts, packet.time_base), wall_us)

    def _frame(self, picture: Picture) -> Frame:
        arrived_ns = self._clock.utc_ns()
        captured_ns, clock, uncertainty_ns = self._camera_clock.stamp(picture.stamp_ns, arrived_ns)
        height, width, _ = picture.image.shape
        info = FrameInfo(
            stream_id=self.stream_id,
            epoch=self._epoch,
            seq=self._first_seq + picture.index,
            pts_ns=picture.pts_ns,
            captured_ns=captured_ns,
            arrived_ns=arrived_ns,
            clock=clock,
            uncertainty_ns=uncertainty_ns,
            width=width,
            height=height,
        )
        return Frame(info, picture.image)

    def _not_opened(self, error: av.error.FFmpegError, waited_s: float) -> SourceError:
        match error:
            case av.error.HTTPUnauthorizedError() | av.error.HTTPForbiddenError():
                return self._refused("the camera refused the user name or password")
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
            case _:
                why = f"cannot connect: is the host name right? ({error.strerror})"
        return self._unavailable(why)

    def _lost(self, error: av.error.FFmpegError) -> SourceError:
        if isinstance(error, av.error.ExitError | av.error.TimeoutError):
            return self._unavailable(f"no data for {self._read_timeout_s:g} s")
        return self._unavailable(f"the connection broke ({error.strerror})")

    def _shorter_timeout_s(self) -> float:
        return min(self._open_timeout_s, self._read_timeout_s)

    def _refused(self, why: str) -> SourceRefused:
        return SourceRefused(self.stream_id, redact(f"{self.address.shown}: {why}"))

    def _unavailable(self, why: str) -> SourceUnavailable:
        return SourceUnavailable(self.stream_id, redact(f"{self.address.shown}: {why}"))
