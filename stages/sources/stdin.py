"""Video on standard input: a container, or raw H.264, HEVC or MJPEG."""

import sys
from typing import Final, Literal

import av
from av.container import InputContainer

from pipeline.core.errors import DecodeError, SourceError
from stages.sources.container import ContainerSource
from stages.sources.reading import Reading

Format = Literal["auto", "mpegts", "matroska", "h264", "hevc", "mjpeg"]
RAW: Final = frozenset({"h264", "hevc", "mjpeg"})
"""Pictures without times: theirs are made up from the frame rate."""


class StdinSource(ContainerSource):
    """Standard input, read once, to its end.

    `format_` is found by itself (`auto`) but for what cannot be told, and `rate` is the frame rate
    of a raw stream that names none: MJPEG never does, H.264 and HEVC mostly do. A writer that is
    faster than the pipeline waits, and its silence is waited for: no deadline applies. MP4 can be
    read only where its index comes first (`faststart`).
    """

    ended = None

    def __init__(
        self, stream_id: str, reading: Reading, *, format_: Format = "auto", rate: float = 25.0
    ) -> None:
        super().__init__(stream_id, "standard input", reading)
        self._format, self._rate = format_, rate

    def _open_container(self) -> InputContainer:
        if sys.stdin is None or sys.stdin.closed:
            raise self._unavailable("it is closed: pipe a video into it")
        if sys.stdin.isatty():
            raise self._unavailable("it is a terminal: pipe a video into it")
        options = {"protocol_whitelist": "pipe", "max_pixels": str(self._reading.max_pixels)}
        if self._format in RAW:
            options["framerate"] = f"{self._rate:g}"
        kind = None if self._format == "auto" else self._format
        accel = self._hardware.open()
        container = av.open(
            "pipe:0", format=kind, options=options, metadata_errors="replace", hwaccel=accel
        )
        if container.format.name == "tty":  # FFmpeg draws text as terminal pictures
            container.close()
            raise self._undecodable("it is text, not a video")
        return container

    def _why_not_open(self, error: av.error.FFmpegError, waited_s: float) -> SourceError:
        what = "a video" if self._format == "auto" else self._format
        why = f"{self.shown} is not {what}, or it is cut off ({error.strerror})"
        return DecodeError(self.stream_id, why)
