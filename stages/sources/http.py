"""Video by HTTP or HTTPS: a file, an HLS playlist, or a camera that sends MJPEG."""

import errno
from typing import Final

import av
from av.container import InputContainer

from pipeline.core.errors import SourceError
from pipeline.core.log import get_logger
from stages.sources.network import NetworkSource

log = get_logger(__name__)

HTTP_SCHEMES: Final = ("http", "https")
PROTOCOLS: Final = "http,https,tcp,tls,crypto,httpproxy"
"""The protocols that a playlist may lead to. Without this it could read files of this machine."""
_LISTS: Final = frozenset({"concat", "dash", "imf"})
_RESUME_WITHIN_S: Final = 4
_NO_INDEX: Final = "the index is at the end of the file and the server gives no ranges"


class HttpSource(NetworkSource):
    """One connection to an address, or one download; the login is sent as HTTP asks for it.

    Deadlines: `open_timeout_s` to connect and find the video, then `read_timeout_s` without a byte.
    Where it is not live, a transfer that breaks is resumed where it was, if the server gives
    ranges, for a few seconds.
    """

    schemes = HTTP_SCHEMES
    server = "the server"
    missing = "nothing is there (404)"

    def _open_container(self) -> InputContainer:
        container = super()._open_container()
        kind = container.format.name
        if kind == "tty" or kind in _LISTS:  # FFmpeg draws text as terminal pictures
            container.close()
            raise self._undecodable("it answers, but not with a video")
        if bool(container.duration) == self.live:
            self._warn(container)
        if kind == "hls" and self._encrypted and self._tls.verify:
            what = "checks the certificate of the playlist, and none of its parts"
            log.warning("stream %r: %s: FFmpeg %s", self.stream_id, self.shown, what)
        return container

    def _warn(self, container: InputContainer) -> None:
        if self.live:
            what = "has an end: live: false reads it once; now it begins anew whenever it ends"
        elif container.format.name == "hls":
            what = "has no end: set live: true, or it may fall behind"
        else:
            return
        log.warning("stream %r: %s %s", self.stream_id, self.shown, what)

    def _options(self) -> dict[str, str]:
        options = {
            "protocol_whitelist": PROTOCOLS,
            "rw_timeout": str(round(self._reading.read_timeout_s * 1e6)),
            "max_pixels": str(self._reading.max_pixels),
        }
        if not self.live:
            options |= {"reconnect": "1", "reconnect_delay_max": str(_RESUME_WITHIN_S)}
        return options

    def _why_broken(self, error: av.error.FFmpegError) -> str:
        timed_out = isinstance(error, av.error.ExitError | av.error.TimeoutError)
        if timed_out or self.live or self.counts.packets_total:
            return super()._why_broken(error)
        why = f"the connection broke before the first picture ({error.strerror})"
        return f"{why}: is it that {_NO_INDEX}?"

    def _why_not_this(self, error: av.error.FFmpegError, waited_s: float) -> SourceError:
        match error:
            case av.error.HTTPClientError() | av.error.HTTPServerError():
                why = f"the server says no ({error.strerror})"
            case av.error.InvalidDataError():
                return self._undecodable(
                    "it answers, but not with a video, or its header is damaged"
                )
            case av.error.OSError(errno=errno.EIO):
                why = (
                    f"the server does not answer as HTTP, or the host name is wrong, or {_NO_INDEX}"
                )
            case _:
                why = f"cannot be opened ({error.strerror})"
        return self._unavailable(why)
