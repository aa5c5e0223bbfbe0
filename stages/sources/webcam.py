"""A camera on this machine, by Video4Linux."""

import errno
from pathlib import Path

import av
from av.container import InputContainer

from pipeline.core.errors import SourceDenied, SourceError
from stages.sources.container import ContainerSource
from stages.sources.reading import Reading


class WebcamSource(ContainerSource):
    """A capture device such as `/dev/video0`, live. Linux only.

    `size`, `rate` and `pixel_format` (`mjpeg`, `yuyv422`, …) ask the device for one of its modes;
    None leaves it as it is. `read_timeout_s` without a picture ends the connection.
    """

    def __init__(
        self,
        stream_id: str,
        device: Path,
        reading: Reading,
        *,
        size: tuple[int, int] | None = None,
        rate: float | None = None,
        pixel_format: str | None = None,
    ) -> None:
        super().__init__(stream_id, str(device), reading)
        self._device = device
        self._size, self._rate, self._pixel_format = size, rate, pixel_format

    def _open_container(self) -> InputContainer:
        accel = self._hardware.open()
        return av.open(
            str(self._device),
            format="v4l2",
            options=self._options(),
            timeout=(self._reading.open_timeout_s, self._reading.read_timeout_s),
            hwaccel=accel,
        )

    def _options(self) -> dict[str, str]:
        options = {}
        if self._size is not None:
            options["video_size"] = f"{self._size[0]}x{self._size[1]}"
        if self._rate is not None:
            options["framerate"] = f"{self._rate:g}"
        if self._pixel_format is not None:
            options["input_format"] = self._pixel_format
        return options

    def _why_broken(self, error: av.error.FFmpegError) -> str:
        if isinstance(error, av.error.ExitError | av.error.TimeoutError):
            return f"no picture for {self._reading.read_timeout_s:g} s"
        return f"the device is gone ({error.strerror})"

    def _why_not_open(self, error: av.error.FFmpegError, waited_s: float) -> SourceError:
        match error.errno:
            case errno.EACCES | errno.EPERM:
                why = "this user may not read it: be in the group video"
                return SourceDenied(self.stream_id, f"{self.shown}: {why}")
            case errno.ENOENT | errno.ENXIO | errno.ENODEV:
                why = "there is no such device: is the camera plugged in?"
            case errno.EBUSY:
                why = "another program uses it"
            case errno.ENOTTY:
                why = "is not a capture device"
            case errno.EINVAL:
                why = "it has no such size, frame rate or pixel format"
            case _ if isinstance(error, av.error.ExitError | av.error.TimeoutError):
                why = f"no answer within {waited_s:.1f} s"
            case _:
                why = f"cannot be opened ({error.strerror})"
        return self._unavailable(why)
