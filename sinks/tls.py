"""The TLS settings of a sink, how it encrypts and whom it believes: the same four facts for every
client."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import Rejected


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS 1.2 or newer.

    `ca`: a PEM file of the authorities to believe, None for the system's. `cert` and `key`: PEM
    files with which we show who we are, together or not at all. `verify`: check the receiver's
    certificate and its host name; without, anybody in between can read and change all.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    verify: bool = True

    def context(self, sink: str) -> ssl.SSLContext:
        """Read the files. Raises `Rejected` for one that is missing or no such thing."""
        for path, what in ((self.ca, "ca"), (self.cert, "cert"), (self.key, "key")):
            if path is not None and not path.is_file():
                raise Rejected(sink, f"tls.{what}: there is no file {str(path)!r}")
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert is not None:
                # Without a password OpenSSL would ask for one at the terminal.
                context.load_cert_chain(self.cert, self.key, password="")
        except (ssl.SSLError, OSError) as error:
            files = ", ".join(str(path) for path in (self.ca, self.cert, self.key) if path)
            raise Rejected(sink, f"tls: {files}: {error}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
