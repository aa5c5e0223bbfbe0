"""RTSP cameras: one connection per object, capture times from the camera's own clock."""

import sys
from dataclasses import replace
from typing import Final, Literal

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from pipeline.core.errors import DecodeError, SourceError
from stages.sources.address import SCHEMES
from stages.sources.container import Standstill
from stages.sources.network import NetworkSource
from stages.sources.reading import Reading
from stages.sources.tls import Tls

UDP_BUFFER_BYTES: Final = 4_194_304
"""Room for a key frame that comes at once; FFmpeg's own 64 KB lose a part of it."""


class RtspSource(NetworkSource):
    """One connection to a camera, as a live `Source`, whatever `Reading.live` says.

    Every end that `close` did not ask for is `SourceUnavailable` (`SourceRefused` or `SourceDenied`
    where the camera says no), or `DecodeError` if it has no video, or none that can be decoded.

    Deadlines: `open_timeout_s` to connect and `read_timeout_s` for the description, then
    `read_timeout_s` between two packets. `picture_timeout_s` is how long packets may come without
    a first picture, which a camera begins at its next key frame; later on, without one that can be
    decoded, they may come for `read_timeout_s`, or where only key frames are decoded for
    `picture_timeout_s` again. So long may it be also from one picture that is given to the next, if
    all between them are damaged: a new connection often begins with a key frame.

    FFmpeg has been seen to overstay all of these on a hung server, so the caller runs `frames` in a
    daemon thread that it can abandon.
    """

    schemes = SCHEMES
    server = "the camera"
    missing = "the camera has no stream at this path (404)"
    ended = "the camera closed the connection"
    lossy = True

    def __init__(
        self,
        stream_id: str,
        url: str,
        reading: Reading | None = None,
        *,
        user: str | None = None,
        password: str | None = None,
        transport: Literal["tcp", "udp"] = "tcp",
        tls: Tls | None = None,
    ) -> None:
        live = replace(reading or Reading(), live=True)
        super().__init__(stream_id, url, live, user=user, password=password, tls=tls)
        self._transport = transport
        self._any = Standstill(0.0)

    def _options(self) -> dict[str, str]:
        # Both timeouts: PyAV's bounds every call, FFmpeg's own (microseconds) bounds the socket,
        # and each has been seen to work where the other did not.
        options = {
            "rtsp_transport": self._transport,
            "allowed_media_types": "video",
            "timeout": str(round(self._reading.read_timeout_s * 1e6)),
            "max_pixels": str(self._reading.max_pixels),
        }
        if self._transport == "udp":
            options["buffer_size"] = str(UDP_BUFFER_BYTES)
        return options

    def _prepare(self, container: InputContainer, stream: VideoStream) -> None:
        super()._prepare(container, stream)
        self._any = Standstill(self._clock.monotonic_s())

    def _observe(self, packet: "Packet[VideoStream]", waited_s: float) -> None:
        limit_s = self._reading.read_timeout_s
        if waited_s >= limit_s:  # FFmpeg gives the last packet, and waits once more
            raise self._unavailable(f"no data for {limit_s:g} s")
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
        reading, now_s = self._reading, self._clock.monotonic_s()
        frames = self._decoding.frames_total
        often = frames and reading.decode != "keyframes"
        limit_s = reading.read_timeout_s if often else reading.picture_timeout_s
        whole_limit_s = max(reading.picture_timeout_s, reading.read_timeout_s)
        any_s = self._any.lasts_s(frames, now_s)
        whole_s = self._whole.lasts_s(frames - self.counts.withheld_total, now_s)
        if any_s - waited_s > limit_s:
            raise self._no_picture("picture", limit_s)
        if whole_s - waited_s > whole_limit_s:
            raise self._no_picture("whole picture", whole_limit_s)

    def _no_picture(self, what: str, limit_s: float) -> DecodeError:
        damaged = self.counts.corrupt_total
        why = f"data comes, but no {what} for {limit_s:g} s ({damaged} damaged so far)"
        return self._undecodable(why)

    def _why_not_this(self, error: av.error.FFmpegError, waited_s: float) -> SourceError:
        if not isinstance(error, av.error.InvalidDataError):
            why = f"cannot connect: is the host name right? ({error.strerror})"
        elif waited_s >= min(self._reading.open_timeout_s, self._reading.read_timeout_s):
            why = f"no answer within {waited_s:.1f} s"
        else:
            why = "it answers, but not with a video stream"
        return self._unavailable(why)
