"""Video that FFmpeg reads from elsewhere than a file: what such sources share."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from typing import ClassVar, Final

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from pipeline.core.clock import SECOND_NS, Moment
from pipeline.core.errors import DecodeError, SourceError, SourceUnavailable
from pipeline.core.frame import Frame, FrameInfo
from pipeline.core.log import get_logger, redact
from stages.base import Counts
from stages.sources.capture_clock import Capture, CaptureClock
from stages.sources.decode import Decoded, Decoding, PictureTooLarge, pick_video
from stages.sources.hardware import Hardware
from stages.sources.reading import Reading
from stages.sources.start_time import from_container
from stages.sources.timing import LONGEST_FILE_GAP_NS, LONGEST_LIVE_GAP_NS

log = get_logger(__name__)

UNKNOWN_START_NS: Final = 86_400 * SECOND_NS
"""Uncertainty of a recording that does not say when it was made."""
HLS_BEHIND_NS: Final = 60 * SECOND_NS
"""Players begin three segments behind the newest, and a segment may last 10 s and more."""


class Standstill:
    """The time for which a count has not changed. It begins at 0, at `now_s`."""

    def __init__(self, now_s: float) -> None:
        self._count, self._since_s = 0, now_s

    def lasts_s(self, count: int, now_s: float) -> float:
        """Seconds since the count became what it is now."""
        if count != self._count:
            self._count, self._since_s = count, now_s
        return now_s - self._since_s


class ContainerSource(ABC):
    """One pass over such a video, as a `Source`.

    Live: capture times are those of `CaptureClock`, and the end is `SourceUnavailable`. Not live:
    they count from the container's creation time or, without one, from the moment of opening with
    an uncertainty of a day. The end is the end, unless it comes before the announced one.

    Each size of pictures, and each jump of the stream's time, begins an epoch. Pictures of more
    than `max_pixels` are refused. Errors name `shown` and never hold FFmpeg's own, which may hold
    a password.
    """

    ended: ClassVar[str | None] = "the stream ended"
    """What the end of a live stream is called, as an error; None: it is none."""
    lossy: ClassVar[bool] = False
    """See `Decoding`."""

    def __init__(self, stream_id: str, shown: str, reading: Reading) -> None:
        self.stream_id, self.shown = stream_id, shown
        self.live = reading.live
        self.frame_count: int | None = None
        self.counts = Counts()
        self._reading, self._clock = reading, reading.clock
        self._epoch, self._jumps = reading.epoch, 0
        self._size: tuple[int, ...] | None = None
        self._stopped = threading.Event()
        self._opened = Moment.of(self._clock)
        self._capture_clock = CaptureClock(self._opened)
        self._start: Capture | None = None
        self._behind_ns = 0
        self._decoding: Decoding | None = None
        self._hardware = Hardware(stream_id, reading.hwaccel)
        self._whole = Standstill(0.0)

    @abstractmethod
    def _open_container(self) -> InputContainer:
        """Connect. Raises `SourceError`, or FFmpeg's error for `_why_not_open`. May block."""

    @abstractmethod
    def _why_not_open(self, error: av.error.FFmpegError, waited_s: float) -> SourceError:
        """FFmpeg's error at opening, after `waited_s`, in plain words."""

    def _why_broken(self, error: av.error.FFmpegError) -> str:
        """FFmpeg's error while reading, in plain words."""
        if isinstance(error, av.error.ExitError | av.error.TimeoutError):
            return f"no data for {self._reading.read_timeout_s:g} s"
        return f"the connection broke ({error.strerror})"

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`."""
        # Raised only out here: an error of FFmpeg, even as a context, holds the address.
        container, failure = self._open()
        if container is not None:
            with container:
                try:
                    failure = yield from self._pictures(container)
                finally:
                    self._decoding = None  # each holds the other, and the decoder its pictures
        if not self._stopped.is_set():
            if failure is None and self.live and self.ended is not None:
                failure = self._unavailable(self.ended)
            if failure is not None:
                raise failure

    def close(self) -> None:
        """See `Source.close`. It cannot interrupt FFmpeg: `frames` ends at the next packet or at a
        deadline, so the caller runs it in a thread that it can abandon."""
        self._stopped.set()

    def _open(self) -> tuple[InputContainer | None, SourceError | None]:
        began_s = self._clock.monotonic_s()
        self._opened = Moment.of(self._clock)
        try:
            return self._open_container(), None
        except av.error.FFmpegError as error:
            return None, self._why_not_open(error, self._clock.monotonic_s() - began_s)
        except SourceError as error:
            return None, error

    def _pictures(self, container: InputContainer) -> Generator[Frame, None, SourceError | None]:
        """Why it ended; None: there is no more."""
        if self._stopped.is_set():
            return None
        try:
            stream = pick_video(self.stream_id, container, self.shown)
            if stream.width * stream.height > self._reading.max_pixels:
                raise PictureTooLarge(stream.width, stream.height)
            self._prepare(container, stream)
            assert self._decoding is not None
            for picture in self._decoding.pictures():
                yield self._frame(picture)
        except av.error.FFmpegError as error:
            return self._unavailable(self._why_broken(error))
        except PictureTooLarge as error:
            return self._undecodable(f"{error} pixels are more than the stream may have")
        except SourceError as error:
            return error
        return None if self.live or self._stopped.is_set() else self._why_short(container)

    def _prepare(self, container: InputContainer, stream: VideoStream) -> None:
        self._decoding = Decoding(
            container, stream, self.counts, self._stopped, self._reading,
            on_packet=self._observe, max_pixels=self._reading.max_pixels,
            longest_gap_ns=LONGEST_LIVE_GAP_NS if self.live else LONGEST_FILE_GAP_NS,
            lossy=self.lossy, hardware=self._hardware,
        )  # fmt: skip
        self._capture_clock = CaptureClock(self._opened, self._decoding.period_ns)
        self._behind_ns = HLS_BEHIND_NS if container.format.name == "hls" else 0
        self._whole = Standstill(self._clock.monotonic_s())
        if not self.live:
            self.frame_count = stream.frames or None
            created = container.metadata.get("creation_time", "")
            known = from_container(stream.metadata.get("creation_time") or created, SECOND_NS)
            self._start = (
                Capture(known.utc_ns, known.clock, known.uncertainty_ns + _length_ns(container))
                if known
                else Capture(self._opened.utc_ns, "arrival", UNKNOWN_START_NS)
            )

    def _observe(self, packet: "Packet[VideoStream]", waited_s: float) -> None:
        """Packets without a picture that can be given, for too long, are no stream."""
        assert self._decoding is not None
        frames = self._decoding.frames_total - self.counts.withheld_total
        still_s = self._whole.lasts_s(frames, self._clock.monotonic_s())
        limit_s = self._reading.picture_timeout_s
        if self.live and still_s - waited_s > limit_s:
            raise self._undecodable(f"data comes, but no whole picture for {limit_s:g} s")

    def _why_short(self, container: InputContainer) -> SourceError | None:
        """A recording is over: is it whole? Short by a second and 2 % of what it says is not."""
        assert self._decoding is not None
        decoded = self.counts.decoded_total
        if decoded == self.counts.withheld_total:
            return self._undecodable("no picture can be decoded: it is empty or damaged")
        length_ns = _length_ns(container)
        came_ns = self._decoding.end_ns - (container.start_time or 0) * 1000
        if length_ns and length_ns - came_ns > SECOND_NS + length_ns // 50:
            return self._undecodable(f"ends after {decoded} frames, earlier than it says")
        return None

    def _frame(self, decoded: Decoded) -> Frame:
        now = Moment.of(self._clock)
        if decoded.jumps != self._jumps:
            self._epoch += decoded.jumps - self._jumps
            self._jumps = decoded.jumps
            self._capture_clock.jump(decoded.pts_ns, now)
            log.info("stream %r: its time jumped: a new epoch", self.stream_id)
        picture = decoded.picture
        height, width = size = picture.height, picture.width
        if self._size is not None and size != self._size:
            self._epoch += 1
            was = f"{self._size[1]}x{self._size[0]}"
            log.info("stream %r: pictures of %s are now %dx%d", self.stream_id, was, width, height)
        self._size = size
        capture = self._capture(decoded, now)
        info = FrameInfo(
            stream_id=self.stream_id,
            epoch=self._epoch,
            seq=self._reading.first_seq + decoded.index,
            pts_ns=decoded.pts_ns,
            captured_ns=capture.utc_ns,
            arrived_ns=now.utc_ns,
            clock=capture.clock,
            uncertainty_ns=capture.uncertainty_ns + self._behind_ns,
            width=width,
            height=height,
        )
        return Frame(info, picture)

    def _capture(self, decoded: Decoded, now: Moment) -> Capture:
        start = self._start
        if start is None:
            capture = self._capture_clock.capture(decoded.stamp_ns, now)
            self.counts.times.clock_offset_ns = self._capture_clock.offset_ns
            return capture
        return Capture(start.utc_ns + decoded.elapsed_ns, start.clock, start.uncertainty_ns)

    def _unavailable(self, why: str) -> SourceUnavailable:
        return SourceUnavailable(self.stream_id, self._said(why))

    def _undecodable(self, why: str) -> DecodeError:
        return DecodeError(self.stream_id, self._said(why))

    def _said(self, why: str) -> str:
        return redact(f"{self.shown}: {why}")


def _length_ns(container: InputContainer) -> int:
    """What the container says; 0: nothing, as for a live stream."""
    return (container.duration or 0) * 1000
