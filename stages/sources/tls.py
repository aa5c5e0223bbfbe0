"""Encrypted connections: what FFmpeg is to check, by its GnuTLS."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
)


@dataclass(frozen=True, slots=True)
class Tls:
    """Whether the server must show a certificate that is signed by one in `ca_file`, by default by
    the system's authorities, and names the host of the address."""

    verify: bool = True
    ca_file: Path | None = None

    def options(self) -> dict[str, str]:
        """Options of FFmpeg's protocols. FFmpeg alone checks nothing. Raises `OSError` when there
        is nothing to check by."""
        if not self.verify:
            return {"tls_verify": "0"}
        authorities = self.ca_file or system_authorities()
        authorities.open("rb").close()  # FFmpeg's word for a missing file is "I/O error"
        return {"tls_verify": "1", "ca_file": str(authorities)}


def system_authorities() -> Path:
    """The system's list: the FFmpeg inside of PyAV was built elsewhere, and looks elsewhere."""
    given = ssl.get_default_verify_paths().cafile
    places = [given] if given else []
    found = (Path(place) for place in (*places, *_BUNDLES) if Path(place).is_file())
    return next(found, Path(_BUNDLES[0]))
