"""Video from another machine: an address, a login, certificates, and why there is no connection."""

import errno
from abc import abstractmethod
from typing import ClassVar

import av
from av.container import InputContainer

from pipeline.core.errors import SourceDenied, SourceError, SourceRefused
from stages.sources.address import CameraAddress
from stages.sources.container import ContainerSource
from stages.sources.reading import Reading
from stages.sources.tls import Tls


class NetworkSource(ContainerSource):
    """One connection to an address.

    `user` and `password` are given as people type them; no message ever holds them, nor the
    address's query. `tls` is for an encrypted address. Raises `SourceRefused` for an address that
    is none.
    """

    schemes: ClassVar[tuple[str, str]]
    """The schemes of plain and of encrypted addresses."""
    server: ClassVar[str]
    missing: ClassVar[str]
    """What a 404 means."""

    def __init__(
        self,
        stream_id: str,
        url: str,
        reading: Reading,
        *,
        user: str | None = None,
        password: str | None = None,
        tls: Tls | None = None,
    ) -> None:
        try:
            self.address = CameraAddress.parse(url, user, password, schemes=self.schemes)
        except ValueError as error:
            raise SourceRefused(stream_id, str(error)) from None
        super().__init__(stream_id, self.address.shown, reading)
        self._tls = tls or Tls()
        self._encrypted = self.address.url.startswith(f"{self.schemes[1]}:")

    @abstractmethod
    def _options(self) -> dict[str, str]:
        """FFmpeg's options for this address, but for certificates."""

    @abstractmethod
    def _why_not_this(self, error: av.error.FFmpegError, waited_s: float) -> SourceError:
        """As `_why_not_open`, for what is not the same for all kinds of servers."""

    def _open_container(self) -> InputContainer:
        try:
            options = self._options() | (self._tls.options() if self._encrypted else {})
        except OSError as error:
            raise self._unavailable(f"tls.ca_file cannot be read: {error.strerror}") from None
        accel = self._hardware.open()
        return av.open(
            self.address.url,
            options=options,
            timeout=(self._reading.open_timeout_s, self._reading.read_timeout_s),
            hwaccel=accel,
            metadata_errors="replace",
        )

    def _why_not_open(self, error: av.error.FFmpegError, waited_s: float) -> SourceError:
        match error:
            case av.error.HTTPUnauthorizedError() | av.error.HTTPForbiddenError():
                return SourceDenied(self.stream_id, self._said(f"{self.server} {self._denial()}"))
            case av.error.HTTPNotFoundError():
                return SourceRefused(self.stream_id, self._said(self.missing))
            case av.error.ConnectionRefusedError():
                why = f"connection refused: nothing listens at {self.address.host}"
            case av.error.OSError(errno=errno.EHOSTUNREACH | errno.ENETUNREACH):
                why = (
                    f"no way to {self.address.host}: is it on, and is this machine on its network?"
                )
            case av.error.ExitError() | av.error.TimeoutError():
                why = f"no answer within {waited_s:.1f} s"
            case av.error.OSError(errno=errno.EIO) if self._encrypted:
                why = "no encrypted connection: is its certificate valid, and known by tls.ca_file?"
            case _:
                return self._why_not_this(error, waited_s)
        return self._unavailable(why)

    def _denial(self) -> str:
        given = "@" in self.address.url.split("/", 3)[2]
        return "refused the user name or password" if given else "wants a user name and a password"
