"""Annotated pictures as H.264 in MP4, one file per stream."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream

from pipeline.core.arrays import U8
from pipeline.core.errors import Rejected, SinkUnavailable
from pipeline.core.frame import FrameInfo
from sinks.paths import STREAM_ID, check_template, fixed_folder, path_for

_TICKS_PER_S = 90_000
_FIRST_STEP_TICKS = _TICKS_PER_S // 25
_FAILURES = (av.error.FFmpegError, OSError)


class VideoSink:
    """A `PictureSink` that encodes each stream with libx264.

    `path` holds `{stream_id}`, named by `paths.file_stem`, unless there is one stream only. A file
    is written as `.part.mp4` and gets its name when it is whole, so a killed run leaves no broken
    `.mp4`; it replaces a file of that name.

    Pictures keep their `pts_ns`, so a variable frame rate stays variable, to 1/90,000 s. The first
    is at 0; time that does not go on (a new epoch, a source that steps back) goes on one step, at
    most a second, after the last picture. The first picture sets the size, odd sides grown by one
    pixel; later pictures of another size are scaled to it. `crf` is x264's quality: 0 (lossless) to
    51.
    """

    def __init__(self, path: str, name: str = "video", crf: int = 23) -> None:
        check_template(path)
        if not 0 <= crf <= 51:
            raise ValueError(f"crf {crf} is not within 0 and 51")
        self.name = name
        self._template = path
        self._crf = crf
        self._movies: dict[str, _Movie] = {}
        self._only_stream: str | None = None

    def open(self) -> None:
        folder = fixed_folder(self._template)
        probe = folder / f".{self.name}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise SinkUnavailable(self.name, f"{folder}: {error.strerror}") from error

    def write_picture(self, info: FrameInfo, image: U8) -> None:
        """See `PictureSink.write_picture`. Raises `Rejected` for a second stream without
        `{stream_id}` in the path. After `SinkUnavailable` the stream starts a new file."""
        path = path_for(self._template, info.stream_id)
        try:
            movie = self._movies.get(info.stream_id) or self._begin(info, path)
            movie.add(info, image)
        except _FAILURES as error:
            self._drop(info.stream_id)
            raise self._unavailable(path, error) from error

    def end_stream(self, stream_id: str) -> None:
        movie = self._movies.pop(stream_id, None)
        if movie is None:
            return
        try:
            movie.finish()
        except _FAILURES as error:
            raise self._unavailable(movie.path, error) from error

    def close(self) -> None:
        """Finish all files, also when one of them fails; then raise the first failure."""
        failures: list[SinkUnavailable] = []
        for stream_id in tuple(self._movies):
            try:
                self.end_stream(stream_id)
            except SinkUnavailable as error:
                failures.append(error)
        self._only_stream = None
        if failures:
            raise failures[0]

    def _begin(self, info: FrameInfo, path: Path) -> "_Movie":
        if STREAM_ID not in self._template:
            self._only_stream = self._only_stream or info.stream_id
            if self._only_stream != info.stream_id:
                why = f"path {self._template!r} has no {STREAM_ID}, but there are two streams"
                raise Rejected(self.name, f"{why}: {self._only_stream!r} and {info.stream_id!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        movie = _Movie.begin(path, info, self._crf)
        self._movies[info.stream_id] = movie
        return movie

    def _drop(self, stream_id: str) -> None:
        movie = self._movies.pop(stream_id, None)
        if movie is not None:
            movie.abandon()

    def _unavailable(self, path: Path, error: OSError | av.error.FFmpegError) -> SinkUnavailable:
        return SinkUnavailable(self.name, f"{path}: {error.strerror or error}")


@dataclass(slots=True)
class _Movie:
    """One file in the making. Times are ticks of 1/90,000 s."""

    path: Path
    part: Path
    container: OutputContainer
    stream: VideoStream
    epoch: int
    offset: int
    last: int
    step: int = _FIRST_STEP_TICKS

    @classmethod
    def begin(cls, path: Path, info: FrameInfo, crf: int) -> "_Movie":
        part = path.with_name(f"{path.stem}.part.mp4")
        container = av.open(str(part), "w", format="mp4", options={"movflags": "faststart"})
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height = _even(info.width), _even(info.height)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, _TICKS_PER_S)
        stream.codec_context.thread_count = 1
        # No B-frames: decoding order is showing order, so the first picture is at 0.
        stream.options = {"preset": "veryfast", "crf": str(crf), "bf": "0"}
        container.start_encoding()
        first = _ticks(info)
        return cls(path, part, container, stream, info.epoch, -first, -_FIRST_STEP_TICKS)

    def add(self, info: FrameInfo, image: U8) -> None:
        frame = av.VideoFrame.from_ndarray(_grown(image), format="rgb24")
        frame.pts = self._next_pts(info)
        frame.time_base = Fraction(1, _TICKS_PER_S)
        frame = frame.reformat(self.stream.width, self.stream.height, "yuv420p")
        self.container.mux(self.stream.encode(frame))

    def finish(self) -> None:
        try:
            self.container.mux(self.stream.encode(None))
        finally:
            self.container.close()
        self.part.replace(self.path)

    def abandon(self) -> None:
        try:
            self.container.close()
        except _FAILURES:
            # The failure that led here is the one to tell.
            return

    def _next_pts(self, info: FrameInfo) -> int:
        pts = _ticks(info) + self.offset
        if info.epoch != self.epoch or pts <= self.last:
            self.offset += self.last + self.step - pts
            self.epoch = info.epoch
            pts = self.last + self.step
        self.step, self.last = min(pts - self.last, _TICKS_PER_S), pts
        return pts


def _ticks(info: FrameInfo) -> int:
    return round(info.pts_ns * _TICKS_PER_S / 1_000_000_000)


def _even(side_px: int) -> int:
    return side_px + side_px % 2


def _grown(image: U8) -> U8:
    """The last row and column again where their number is odd: yuv420p halves both sides."""
    height, width = image.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return np.ascontiguousarray(image)
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
