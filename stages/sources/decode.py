"""The decoding loop that files and cameras share: PyAV packets in, RGB pictures out."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream

from pipeline.core.arrays import U8
from pipeline.core.errors import DecodeError
from stages.base import Counts
from stages.sources.timing import MediaTime, Thinner, period_ns, to_ns

HD_LINES: Final = 720
UNSPECIFIED: Final = 2  # AVCOL_SPC_UNSPECIFIED: the stream does not name its matrix


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture before it is a `Frame`. `index` counts decoded pictures from 0;
    `stamp_ns` is the stream's own timestamp, None where it gave none."""

    index: int
    pts_ns: int
    stamp_ns: int | None
    image: U8


def to_rgb(frame: VideoFrame) -> U8:
    """The picture as (height, width, 3) uint8 RGB, contiguous, upright.

    swscale does it, with the matrix and range that the stream names (BT.601, BT.709, BT.2020; full
    or limited). Where no matrix is named, 720 lines and more are BT.709 and less is BT.601, as
    players assume; swscale alone would take BT.601 always. One thread: streams already run in
    parallel.
    """
    guess_hd = frame.colorspace == UNSPECIFIED and frame.height >= HD_LINES
    image = frame.to_ndarray(
        format="rgb24", src_colorspace=Colorspace.ITU709 if guess_hd else None, threads=1
    )
    turned = np.rot90(image, frame.rotation // 90) if frame.rotation % 360 else image
    return np.ascontiguousarray(turned, dtype=np.uint8)


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


class Decoding:
    """One pass over a video stream; made for one iteration.

    `stopped` is looked at before every picture; `on_packet` sees every packet before it is decoded.
    Damaged packets and pictures are counted and left out. Errors of the demuxer
    (`av.error.FFmpegError`) come through: what they mean differs between files and cameras.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        counts: Counts,
        stopped: threading.Event,
        *,
        fps: float | None = None,
        threads: int = 1,
        on_packet: "Callable[[Packet[VideoStream]], None] | None" = None,
    ) -> None:
        stream.thread_type = "AUTO" if threads > 1 else "SLICE"
        stream.thread_count = threads
        self._container, self._stream = container, stream
        self._counts, self._stopped, self._on_packet = counts, stopped, on_packet
        self._period_ns = period_ns(stream.average_rate or stream.guessed_rate)
        self._time = MediaTime(self._period_ns)
        self._thinner = Thinner(fps)
        self.packets_total = 0
        self.last_packet_cut = False
        """The last packet came shorter than the container says: the mark of a truncated file."""
        self.end_ns = 0
        """Largest end of a packet so far, in stream time."""

    def pictures(self) -> Iterator[Picture]:
        """Decode to the end of the stream, or until `stopped`."""
        for packet in self._container.demux(self._stream):
            if self._stopped.is_set():
                return
            self._note(packet)
            for frame in self._decode(packet):
                if self._stopped.is_set():
                    return
                picture = self._picture(frame)
                if picture is not None:
                    yield picture

    def _note(self, packet: "Packet[VideoStream]") -> None:
        if packet.size == 0:  # the flush after the last packet
            return
        self.packets_total += 1
        self.last_packet_cut = packet.is_corrupt
        if packet.pts is not None and packet.time_base:
            end = to_ns(packet.pts + (packet.duration or 0), packet.time_base)
            self.end_ns = max(self.end_ns, end)
        if self._on_packet is not None:
            self._on_packet(packet)

    def _decode(self, packet: "Packet[VideoStream]") -> list[VideoFrame]:
        try:
            return packet.decode()
        except av.error.EOFError:
            return []
        except av.error.FFmpegError:
            self._counts.corrupt_total += 1
            return []

    def _picture(self, frame: VideoFrame) -> Picture | None:
        if frame.is_corrupt:
            self._counts.corrupt_total += 1
            return None
        base = frame.time_base or self._stream.time_base
        stamp_ns = to_ns(frame.pts, base) if frame.pts is not None and base else None
        pts_ns = self._time.next(stamp_ns, to_ns(frame.duration, base) if base else 0)
        index = self._counts.decoded_total
        self._counts.decoded_total += 1
        if not self._thinner.keep(pts_ns):
            self._counts.skipped_total += 1
            return None
        return Picture(index, pts_ns, stamp_ns, to_rgb(frame))
