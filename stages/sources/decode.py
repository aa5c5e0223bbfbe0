"""The decoding loop that files and cameras share: PyAV packets in, pictures out."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.core.clock import SECOND_NS, period_ns, to_ns
from pipeline.core.errors import DecodeError
from pipeline.core.picture import Picture
from stages.base import Counts, Decode
from stages.sources.h264 import FrameNumbers
from stages.sources.hardware import Hardware
from stages.sources.planes import picture_of
from stages.sources.reading import Reading
from stages.sources.timing import LONGEST_FILE_GAP_NS, MediaTime, Thinner

SKIPS: Final[dict[Decode, Literal["DEFAULT", "NONREF", "NONKEY"]]] = {
    "all": "DEFAULT",
    "no_nonref": "NONREF",
    "keyframes": "NONKEY",
}
LONGEST_KEY_FRAME_GAP_NS: Final = 120 * SECOND_NS
"""Cameras have been set to a key frame a minute."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded picture before it is a `Frame`. `index` counts decoded pictures from 0; `stamp_ns`
    is `pts_ns` where that is the stream's own time, and None where it is made up. `elapsed_ns` and
    `jumps` are those of `MediaStamp`."""

    index: int
    pts_ns: int
    stamp_ns: int | None
    elapsed_ns: int
    jumps: int
    picture: Picture


def pick_video(stream_id: str, container: InputContainer, where: str) -> VideoStream:
    """The largest video stream that is not a cover picture. Raises `DecodeError` without one."""
    moving = [
        stream
        for stream in container.streams.video
        if not stream.disposition & av.stream.Disposition.attached_pic
        and stream.codec_context is not None
    ]
    if not moving:
        kinds = sorted({stream.type for stream in container.streams})
        held = f"only {' and '.join(kinds)}" if kinds else "nothing"
        raise DecodeError(stream_id, f"{where} holds {held}, no video stream")
    return max(moving, key=lambda stream: stream.width * stream.height)


def _start_ns(stream: VideoStream) -> int | None:
    if stream.start_time is None or not stream.time_base:
        return None
    return to_ns(stream.start_time, stream.time_base)


class PictureTooLarge(Exception):
    """A picture has more pixels than the stream may have. It was not converted."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(f"{width}x{height}")


class Decoding:
    """One pass over a video stream; made for one iteration.

    `stopped` is looked at before every picture; `on_packet` sees every packet before it is decoded,
    with the seconds that it was waited for. Damaged packets and pictures are counted and left out,
    or damaged pictures given, as `reading` says. Errors of the demuxer
    (`av.error.FFmpegError`) come through: what they mean differs between files and cameras. A
    picture of more than `max_pixels` is a `PictureTooLarge`. With `lossy`, for H.264 that comes by
    RTP, pictures between a lost one and the next key frame count as damaged. Those that are not
    decoded are `Counts.undecoded_total`. `hardware` is what the container was opened with; a device
    has one thread. The tap of `reading` gets every packet, and is closed at the end.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        counts: Counts,
        stopped: threading.Event,
        reading: Reading | None = None,
        *,
        threads: int = 1,
        on_packet: "Callable[[Packet[VideoStream], float], None] | None" = None,
        max_pixels: int | None = None,
        longest_gap_ns: int = LONGEST_FILE_GAP_NS,
        lossy: bool = False,
        hardware: Hardware | None = None,
    ) -> None:
        reading = reading or Reading()
        decode = reading.decode
        self._hardware, self._tap, self._clock = hardware, reading.tap, reading.clock
        if hardware is not None and hardware.in_use:
            threads = 1
        stream.codec_context.skip_frame = SKIPS[decode]
        self._decodes_all = decode == "all"
        if decode == "keyframes":
            longest_gap_ns = max(longest_gap_ns, LONGEST_KEY_FRAME_GAP_NS)
        stream.thread_type = "AUTO" if threads > 1 else "SLICE"
        stream.thread_count = threads
        self._max_pixels, self._pass_corrupt = max_pixels, reading.pass_corrupt
        if max_pixels is not None:  # the decoder refuses before it allocates
            stream.codec_context.options = {"max_pixels": str(max_pixels)}
        self._container, self._stream = container, stream
        self._counts, self._stopped, self._on_packet = counts, stopped, on_packet
        self.period_ns = period_ns(stream.average_rate or stream.guessed_rate)
        rate = stream.average_rate
        counts.declared_fps = float(rate) if rate and self._decodes_all else None
        self._time = MediaTime(self.period_ns, longest_gap_ns, counts.times, _start_ns(stream))
        self._thinner = Thinner(reading.fps)
        self._numbers: FrameNumbers | None = None
        if lossy and stream.codec_context.name == "h264":
            self._numbers = FrameNumbers(stream.codec_context.extradata or b"")
        self._damaged_from: int | None = None
        """Timestamp of the packet before which one was lost, until the next key frame."""
        self._whole_from: set[int] = set()
        """Timestamps of the key packets since: they may be earlier where the time jumps back."""
        self.packets_total = 0
        self.frames_total = 0
        """Pictures that came out of the decoder, also damaged ones."""
        self._failed_total = 0
        self.last_packet_cut = False
        """The last packet came shorter than the container says: the mark of a truncated file."""
        self.end_ns = 0
        """Largest end of a packet so far, in stream time."""

    def stream_ns(self, packet: "Packet[VideoStream]") -> int | None:
        """Time of a packet as the pictures' `stamp_ns` tell it; None: it has none."""
        if packet.pts is None or not packet.time_base:
            return None
        return self._time.unwrapped(to_ns(packet.pts, packet.time_base))

    def pictures(self) -> Iterator[Decoded]:
        """Decode to the end of the stream, or until `stopped`."""
        try:
            yield from self._pictures()
        finally:
            if self._tap is not None:
                self._tap.close()

    def _pictures(self) -> Iterator[Decoded]:
        asked_s = self._clock.monotonic_s()
        for packet in self._packets():
            if self._stopped.is_set():
                return
            self._note(packet, self._clock.monotonic_s() - asked_s)
            frames = self._decode(packet)
            self._count_undecoded(len(frames))
            for frame in frames:
                if self._stopped.is_set():
                    return
                picture = self._picture(frame)
                if picture is not None:
                    yield picture
            asked_s = self._clock.monotonic_s()

    def _packets(self) -> "Iterator[Packet[VideoStream]]":
        """PyAV fails at the first packet of a stream that the container gave no notice of, as a
        transport stream may. It is none of ours: ask again for those behind it."""
        while not self._stopped.is_set():
            try:
                yield from self._container.demux(self._stream)
            except IndexError:
                continue
            return

    def _note(self, packet: "Packet[VideoStream]", waited_s: float) -> None:
        if packet.size == 0:  # the flush after the last packet
            return
        self.packets_total += 1
        self._counts.packets_total += 1
        self._counts.key_frames_total += packet.is_keyframe
        self.last_packet_cut = packet.is_corrupt
        if packet.pts is not None and packet.time_base:
            end = to_ns(packet.pts + (packet.duration or 0), packet.time_base)
            self.end_ns = max(self.end_ns, end)
        if self._numbers is not None:
            self._note_loss(packet, self._numbers)
        if self._tap is not None:
            self._tap.packet(packet, self.stream_ns(packet))
        if self._on_packet is not None:
            self._on_packet(packet, waited_s)

    def _note_loss(self, packet: "Packet[VideoStream]", numbers: FrameNumbers) -> None:
        if numbers.lost(bytes(packet)):
            self._damaged_from = packet.pts or 0
            self._whole_from.clear()
        if self._damaged_from is not None and packet.is_keyframe and packet.pts is not None:
            self._whole_from.add(packet.pts)

    def _decode(self, packet: "Packet[VideoStream]") -> list[VideoFrame]:
        try:
            return packet.decode()
        except av.error.EOFError:
            return []
        except av.error.FFmpegError:
            self._counts.corrupt_total += 1
            self._failed_total += 1
            return []

    def _count_undecoded(self, more: int) -> None:
        if not self._decodes_all:
            known = self.frames_total + more + self._failed_total
            self._counts.undecoded_total = max(self.packets_total - known, 0)

    def _is_after_loss(self, frame: VideoFrame) -> bool:
        """Key frames refer to none before them; all up to the next one may, in what is lost."""
        if self._damaged_from is None:
            return False
        is_later = (
            frame.pts is None or frame.pts >= self._damaged_from or frame.pts in self._whole_from
        )
        if frame.key_frame and is_later:
            self._damaged_from = None
            self._whole_from.clear()
            return False
        return True

    def _picture(self, frame: VideoFrame) -> Decoded | None:
        self.frames_total += 1
        if self._hardware is not None:
            self._counts.decoder = self._hardware.decoder(self._stream.codec_context)
        if frame.is_corrupt or self._is_after_loss(frame):
            self._counts.corrupt_total += 1
            if not self._pass_corrupt:
                self._counts.decoded_total += 1
                self._counts.withheld_total += 1
                return None
        if self._max_pixels is not None and frame.width * frame.height > self._max_pixels:
            raise PictureTooLarge(frame.width, frame.height)
        base = frame.time_base or self._stream.time_base
        stamp_ns = to_ns(frame.pts, base) if frame.pts is not None and base else None
        stamp = self._time.next(stamp_ns, to_ns(frame.duration, base) if base else 0)
        index = self._counts.decoded_total
        self._counts.decoded_total += 1
        if not self._thinner.keep(stamp.elapsed_ns):
            self._counts.skipped_total += 1
            return None
        known_ns = stamp.pts_ns if stamp.known else None
        picture = picture_of(frame)
        return Decoded(index, stamp.pts_ns, known_ns, stamp.elapsed_ns, stamp.jumps, picture)
