"""Video by HTTP or HTTPS: a file, an HLS playlist, or a camera that sends MJPEG."""

import errno
from typing import Final

import av
from av.container import InputContainer

from pipeline.core.errors import DecodeError, SourceDenied, SourceError, SourceRefused
from pipeline.core.log import get_logger
from stages.sources.address import CameraAddress
from stages.sources.container import ContainerSource, Reading
from stages.sources.tls import Tls

_LOG = get_logger(__name__)

HTTP_SCHEMES: Final = ("http", "https")
PROTOCOLS: Final = "http,https,tcp,tls,crypto,httpproxy"
"""What a playlist may lead to. Without this it could read files of this machine."""
_LISTS: Final = frozenset({"concat", "dash", "imf"})
_RESUME_WITHIN_S: Final = 4
_NO_INDEX: Final = "the index is at the end of the file and the server gives no ranges"


class HttpSource(ContainerSource):
    """One connection to an address, or one download.

    `user` and `password` are given as people type them, and are sent as HTTP asks for them. Neither
    they nor the address's query are in any error or log.

    Deadlines: `open_timeout_s` to connect and find the video, then `read_timeout_s` without a byte.
    Where it is not live, a transfer that breaks is resumed where it was, if the server gives
    ranges, for a few seconds.
    """

    def __init__(
        self,
        stream_id: str,
        url: str,
        reading: Reading,
        *,
        user: str | None = None,
        password: str | None = None,
        tls: Tls | None = None,
        open_timeout_s: float = 10.0,
        read_timeout_s: float = 10.0,
    ) -> None:
        try:
            self.address = CameraAddress.parse(url, user, password, schemes=HTTP_SCHEMES)
        except ValueError as error:
            raise SourceRefused(stream_id, str(error)) from None
        super().__init__(stream_id, self.address.shown, reading)
        self._tls = tls or Tls()
        self._open_timeout_s, self._read_timeout_s = open_timeout_s, read_timeout_s

    def _open_container(self) -> InputContainer:
        try:
            options = self._options()
        except OSError as error:
            raise self._unavailable(f"tls.ca_file cannot be read: {error.strerror}") from None
        accel = self._hardware.open()
        container = av.open(
            self.address.url,
            options=options,
            timeout=(self._open_timeout_s, self._read_timeout_s),
            hwaccel=accel,
            metadata_errors="replace",
        )
        kind = container.format.name
        if kind == "tty" or kind in _LISTS:  # FFmpeg draws text as terminal pictures
            container.close()
            raise self._undecodable("it answers, but not with a video")
        if bool(container.duration) == self.live:
            self._warn(container)
        if kind == "hls" and options.get("tls_verify") == "1":
            what = "checks the certificate of the playlist, and none of its parts"
            _LOG.warning("stream %r: %s: FFmpeg %s", self.stream_id, self.shown, what)
        return container

    def _warn(self, container: InputContainer) -> None:
        if self.live:
            what = "has an end: live: false reads it once; now it begins anew whenever it ends"
        elif container.format.name == "hls":
            what = "has no end: set live: true, or it may fall behind"
        else:
            return
        _LOG.warning("stream %r: %s %s", self.stream_id, self.shown, what)

    def _options(self) -> dict[str, str]:
        options = {
            "protocol_whitelist": PROTOCOLS,
            "rw_timeout": str(round(self._read_timeout_s * 1e6)),
            "max_pixels": str(self._reading.max_pixels),
        }
        if not self.live:
            options |= {"reconnect": "1", "reconnect_delay_max": str(_RESUME_WITHIN_S)}
        if self.address.url.startswith("https:"):
            options |= self._tls.options()
        return options

    def _why_broken(self, error: av.error.FFmpegError) -> str:
        if isinstance(error, av.error.ExitError | av.error.TimeoutError):
            return f"no data for {self._read_timeout_s:g} s"
        if not self.live and not self.counts.packets_total:
            return (
                f"the connection broke before the first picture ({error.strerror}):"
                f" is it that {_NO_INDEX}?"
            )
        return f"the connection broke ({error.strerror})"

    def _why_not_open(self, error: av.error.FFmpegError, waited_s: float) -> SourceError:
        encrypted = self.address.url.startswith("https:")
        match error:
            case av.error.HTTPUnauthorizedError() | av.error.HTTPForbiddenError():
                return self._denied()
            case av.error.HTTPNotFoundError():
                return SourceRefused(self.stream_id, f"{self.shown}: nothing is there (404)")
            case av.error.HTTPClientError() | av.error.HTTPServerError():
                why = f"the server says no ({error.strerror})"
            case av.error.ConnectionRefusedError():
                why = f"connection refused: nothing listens at {self.address.host}"
            case av.error.ExitError() | av.error.TimeoutError():
                why = f"no answer within {waited_s:.1f} s"
            case av.error.InvalidDataError():
                why = "it answers, but not with a video, or its header is damaged"
                return DecodeError(self.stream_id, f"{self.shown}: {why}")
            case av.error.OSError(errno=errno.EIO) if encrypted:
                why = "no encrypted connection: is its certificate valid, and known by tls.ca_file?"
            case av.error.OSError(errno=errno.EIO):
                why = (
                    f"the server does not answer as HTTP, or the host name is wrong, or {_NO_INDEX}"
                )
            case _:
                why = f"cannot be opened ({error.strerror})"
        return self._unavailable(why)

    def _denied(self) -> SourceDenied:
        given = "@" in self.address.url.split("/", 3)[2]
        why = "refused the user name or password" if given else "wants a user name and a password"
        return SourceDenied(self.stream_id, f"{self.shown}: the server {why}")
