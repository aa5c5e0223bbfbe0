"""Encoded pictures as a decoder gets them, kept for a clip."""

import io
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
from av.packet import Packet
from av.video.stream import VideoStream

_START: Final = re.compile(b"\x00\x00\x01")
_HEAD_BYTES: Final = 4096  # parameter sets come before the first slice
_PARAMETER_SETS: Final = {"h264": (7, 8), "hevc": (32, 33, 34)}
"""Types of NAL units: ITU-T H.264 (08/2021), table 7-1; H.265 (08/2021), table 7-1."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One packet: its bytes are a copy, so that they hold nothing of the decoder.

    `pts` and `dts` are ticks of the stream's time base. `at_ns` and `decoded_ns` are the same times
    as `FrameInfo.pts_ns` counts them.
    """

    data: bytes
    pts: int
    dts: int
    duration: int
    is_key: bool
    at_ns: int
    decoded_ns: int


@dataclass(frozen=True, slots=True)
class Header:
    """The facts of a stream that a muxer must know.

    `parameters` is an MP4 file that holds no picture, the only form in which PyAV keeps codec
    parameters for longer than their container is open. `annex_b` are the parameter sets where
    packets are in Annex B form, and empty where they are not: MP4 has the other form, and the muxer
    must know.
    """

    codec: str
    time_base: Fraction
    parameters: bytes
    annex_b: bytes = b""


def parameter_sets(codec: str, data: bytes) -> bytes:
    """The parameter sets at the head of a packet in Annex B form, in that form; empty where there
    are none, or where the packet is of another form."""
    kinds = _PARAMETER_SETS.get(codec)
    if kinds is None or not _is_annex_b(data):
        return b""
    units = (unit for unit in _START.split(data[:_HEAD_BYTES])[1:] if unit)
    return b"".join(
        b"\x00\x00\x00\x01" + unit.rstrip(b"\x00")
        for unit in units
        if (unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63) in kinds
    )


def header_of(packet: "Packet[VideoStream]", data: bytes) -> Header | None:
    """The header of a clip that begins with this key frame. None: MP4 does not hold its codec.

    A camera that changes its encoding without a new connection says so in the packets only, so for
    H.264 and HEVC in Annex B form they count, and not what the connection began with.
    """
    stream = packet.stream
    codec = stream.codec_context.name
    base = packet.time_base or stream.time_base or Fraction(1, 90_000)
    sets = parameter_sets(codec, data)
    try:
        if sets:
            with av.open(io.BytesIO(data), format=codec) as bare:
                return Header(codec, base, _parameters(bare.streams.video[0]), sets)
        first = stream.codec_context.extradata or b""
        return Header(codec, base, _parameters(stream), first if _is_annex_b(first) else b"")
    except (av.error.FFmpegError, ValueError):
        return None


def _is_annex_b(data: bytes) -> bool:
    return data.startswith((b"\x00\x00\x01", b"\x00\x00\x00\x01"))


def _parameters(stream: VideoStream) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options={"movflags": "empty_moov"}) as container:
        container.add_stream_from_template(stream)
        container.start_encoding()
    return file.getvalue()
