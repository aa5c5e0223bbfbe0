"""Certificates of an authority that only the tests know, by openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.services.servers import find

_NEW_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server shows, and its key. Both PEM."""

    chain: Path
    key: Path


class Authority:
    """Signs certificates in `folder`; `file` is what a client must know."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder, self._name = folder, name
        self.file, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        _openssl(
            "req", "-x509", *_NEW_KEY, "-days", "2", "-keyout", self._key, "-out", self.file,
            "-subj", f"/CN={name}",
            "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign",
        )  # fmt: skip

    def certificate(
        self, host: str = "IP:127.0.0.1", *, subject: str = "server", days: int = 2
    ) -> Certificate:
        """For a server at `host`, such as `DNS:example.org`, or a client, which is known by its
        `subject`; with -1 days, one that is over."""
        name = f"{self._name}-{subject}-{host.replace(':', '-')}-{days}"
        request, key, chain = (self._folder / f"{name}{end}" for end in (".csr", ".key", ".crt"))
        _openssl(
            "req", "-new", *_NEW_KEY, "-keyout", key, "-out", request,
            "-subj", f"/CN={subject}", "-addext", f"subjectAltName={host}",
        )  # fmt: skip
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self._key,
            "-CAcreateserial", "-copy_extensions", "copy", "-days", days, "-out", chain,
        )  # fmt: skip
        return Certificate(chain, key)


def _openssl(*arguments: object) -> None:
    command = [find("openssl"), *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)
