"""Video files: everything that FFmpeg reads, with plain words for everything that it does not."""

import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.core.clock import SECOND_NS, period_ns, to_ns
from pipeline.core.errors import DecodeError, SourceUnavailable
from pipeline.core.frame import Frame, FrameInfo
from pipeline.core.log import get_logger
from stages.base import Counts
from stages.sources.decode import Decoded, Decoding, pick_video
from stages.sources.hardware import Hardware
from stages.sources.images import SMALLEST_SIDE_PX
from stages.sources.reading import Reading
from stages.sources.start_time import StartRule, StartTime, UnclearStart

log = get_logger(__name__)

DECODER_THREADS: Final = 2
PLAYLISTS: Final = frozenset({"concat", "hls", "dash", "imf"})


class FileSource:
    """A video file as a `Source`.

    Capture times are the start that `start_rule` finds plus media time, which goes on over jumps.

    `frame_count` also counts frames that are left out for `Reading.fps`; with a `decode` other than
    `all` it is unknown. A file that ends before its own announcement gives all that decodes, then
    `DecodeError`.

    `realtime` yields every frame at its media time after the first one and never sooner, as a
    camera would.

    With more than one of `decoder_threads`, the pictures around damage may differ from run to run:
    FFmpeg conceals it with what its other threads have decoded by then. With one they never do.
    """

    live = False

    def __init__(
        self,
        stream_id: str,
        path: str | Path,
        reading: Reading | None = None,
        *,
        realtime: bool = False,
        decoder_threads: int = DECODER_THREADS,
        start_rule: StartRule | None = None,
    ) -> None:
        self.stream_id = stream_id
        self.path = Path(path)
        self.frame_count: int | None = None
        self.counts = Counts()
        self._reading = reading or Reading()
        self._hardware = Hardware(stream_id, self._reading.hwaccel)
        self._start_rule = start_rule or StartRule()
        self._realtime, self._decoder_threads = realtime, decoder_threads
        self._began_s: float | None = None
        self._clock = self._reading.clock
        self._stopped = threading.Event()

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`."""
        self._check_readable()
        with self._open() as container:
            stream = pick_video(self.stream_id, container, f"{self.path}")
            if self._reading.decode == "all":
                self.frame_count = _announced_frames(container, stream)
            origin = self._origin(container, stream)
            decoding = Decoding(
                container, stream, self.counts, self._stopped, self._reading,
                threads=self._decoder_threads, hardware=self._hardware,
            )  # fmt: skip
            try:
                for picture in decoding.pictures():
                    if self._realtime and self._wait_for(picture.elapsed_ns):
                        return
                    yield self._frame(picture, origin)
            except av.error.FFmpegError as error:
                raise self._cut_short(f" ({error.strerror})") from error
            if not self._stopped.is_set():
                self._check_whole(decoding, container, stream)

    def close(self) -> None:
        """See `Source.close`: the next picture is the last."""
        self._stopped.set()

    def _check_readable(self) -> None:
        """FFmpeg's word for half of these is "Invalid data", so ask the file system first."""
        path = self.path
        try:
            if path.exists() and not path.is_file():
                kind = "a folder" if path.is_dir() else "not a regular file"
                raise SourceUnavailable(self.stream_id, f"{path} is {kind}, not a video file")
            with path.open("rb") as file:
                if not file.read(1):
                    raise DecodeError(self.stream_id, f"{path} is empty (0 bytes)")
        except FileNotFoundError:
            raise SourceUnavailable(self.stream_id, f"{path} does not exist") from None
        except OSError as error:
            why = f"{path} cannot be read: {error.strerror}"
            raise SourceUnavailable(self.stream_id, why) from error

    def _open(self) -> InputContainer:
        # "file:" keeps names like "a:b.mp4" from being taken for an address, and the whitelist
        # keeps a playlist in disguise from opening the network.
        accel = self._hardware.open()
        try:
            container = av.open(
                f"file:{self.path}",
                options={"protocol_whitelist": "file"},
                hwaccel=accel,
                metadata_errors="replace",
            )
        except av.error.FFmpegError as error:
            why = (
                f"{self.path} is not a video that can be read, or its header is missing because"
                f" it was cut off ({error.strerror})"
            )
            raise DecodeError(self.stream_id, why) from error
        kind = container.format.name
        if kind == "tty" or kind in PLAYLISTS:  # FFmpeg draws text files as terminal pictures
            container.close()
            what = "a text file" if kind == "tty" else f"a playlist ({kind}) of other files"
            raise DecodeError(self.stream_id, f"{self.path} is {what}, not a video")
        return container

    def _origin(self, container: InputContainer, stream: VideoStream) -> StartTime:
        tag = stream.metadata.get("creation_time") or container.metadata.get("creation_time", "")
        try:
            return self._start_rule.start(self.path, tag, _duration_ns(container, stream) or 0)
        except UnclearStart as error:
            raise DecodeError(self.stream_id, str(error)) from None
        except OSError as error:  # moved or deleted since it was opened
            why = f"{self.path} cannot be read any more: {error.strerror}"
            raise SourceUnavailable(self.stream_id, why) from error

    def _wait_for(self, elapsed_ns: int) -> bool:
        """Wait until a picture is due. True: `close` came first."""
        now_s, due_s = self._clock.monotonic_s(), elapsed_ns / SECOND_NS
        if self._began_s is None:
            self._began_s = now_s - due_s
        return self._stopped.wait(max(self._began_s + due_s - now_s, 0))

    def _frame(self, decoded: Decoded, origin: StartTime) -> Frame:
        picture = decoded.picture
        height, width = picture.height, picture.width
        if min(height, width) < SMALLEST_SIDE_PX:
            why = f"{self.path}: {width}x{height} pixels are too few to show anything"
            raise DecodeError(self.stream_id, why)
        info = FrameInfo(
            stream_id=self.stream_id,
            epoch=self._reading.epoch + decoded.jumps,
            seq=self._reading.first_seq + decoded.index,
            pts_ns=decoded.pts_ns,
            captured_ns=origin.utc_ns + decoded.elapsed_ns,
            arrived_ns=self._clock.utc_ns(),
            clock=origin.clock,
            uncertainty_ns=origin.uncertainty_ns,
            width=width,
            height=height,
        )
        return Frame(info, picture)

    def _cut_short(self, detail: str = "") -> DecodeError:
        decoded = self.counts.decoded_total
        why = f"{self.path} is truncated or damaged after {decoded} frames{detail}"
        return DecodeError(self.stream_id, why)

    def _check_whole(
        self, decoding: Decoding, container: InputContainer, stream: VideoStream
    ) -> None:
        """FFmpeg ends a truncated file as cleanly as a whole one: tell them apart afterwards."""
        if decoding.last_packet_cut or _ends_early(decoding, container, stream):
            raise self._cut_short()
        if self.counts.decoded_total == self.counts.withheld_total:
            why = f"no picture of {self.path} can be decoded: its video is empty or damaged"
            raise DecodeError(self.stream_id, why)
        if self.counts.corrupt_total:
            log.warning(
                "stream %r: %d damaged frames in %s",
                self.stream_id, self.counts.corrupt_total, self.path,
            )  # fmt: skip


def _duration_ns(container: InputContainer, stream: VideoStream) -> int | None:
    """How long the video says it is; Matroska says it in a tag of the stream."""
    if stream.duration and stream.time_base:
        return to_ns(stream.duration, stream.time_base)
    tagged = _tag_ns(stream.metadata.get("DURATION", ""))
    return tagged or (container.duration * 1000 if container.duration else None)


def _tag_ns(text: str) -> int | None:
    """`HH:MM:SS.fffffffff` as nanoseconds."""
    try:
        hours, minutes, seconds = text.split(":")
        whole = int(hours) * 3600 + int(minutes) * 60
        return whole * SECOND_NS + round(float(seconds) * SECOND_NS)
    except ValueError:
        return None


def _announced_frames(container: InputContainer, stream: VideoStream) -> int | None:
    if stream.frames:
        return stream.frames
    duration = _duration_ns(container, stream)
    if duration is None or not stream.average_rate:
        return None
    return round(duration / period_ns(stream.average_rate))


def _ends_early(decoding: Decoding, container: InputContainer, stream: VideoStream) -> bool:
    """Did the packets stop well before the announced end?

    Where the container counts its packets, both the count and the time must fall short, the time
    by more than two frames: an edit list hides packets on purpose, and shortens the duration with
    them. Elsewhere only the time speaks, and only the stream's own (audio may well be longer):
    short by more than a second and 2 %.
    """
    base = stream.time_base or Fraction(1)
    announced = to_ns(stream.duration, base) if stream.duration else None
    announced = announced or _tag_ns(stream.metadata.get("DURATION", ""))
    if announced is None:
        return False
    missing_ns = announced - (decoding.end_ns - to_ns(stream.start_time or 0, base))
    if stream.frames:
        few = decoding.packets_total < stream.frames
        return few and missing_ns > 2 * period_ns(stream.average_rate)
    return missing_ns > SECOND_NS + announced // 50
