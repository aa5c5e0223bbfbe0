"""Checkpoints from the network: fetched once, kept, and verified before anything reads them.

Nothing is fetched whose SHA-256 is not known beforehand. Files lie in `$XDG_CACHE_HOME/eyrie`, by
default `~/.cache/eyrie`, under their checksum.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPMessage
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from detectors.yolo_nas.errors import CheckpointError

LARGEST_BYTES = 4 * 2**30
CHUNK_BYTES = 2**20
TIMEOUT_S = 30.0
HERE = ("localhost", "127.0.0.1", "::1")
SHA256 = re.compile(r"[0-9a-f]{64}")
NETWORK_FAULTS = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError)
LICENCE = (
    "the public YOLO-NAS weights are under Deci's licence (LICENSE.YOLONAS.md of super-gradients): "
    "no commercial and no production use, no redistribution; this holds for all models fine-tuned "
    "or distilled from them, too. If you accept it, say so: --accept-licence, accept_licence=True"
)


@dataclass(frozen=True, slots=True)
class Release:
    """A public file of weights: where it is, in order of preference, and its checksum."""

    urls: tuple[str, ...]
    sha256: str


def _release(size: str, sha256: str) -> Release:
    file = f"models/yolo_nas_{size}_coco.pth"
    hosts = ("https://sg-hub-nv.s3.amazonaws.com", "https://d2gjn4b69gu75n.cloudfront.net")
    return Release(tuple(f"{host}/{file}" for host in hosts), sha256)


RELEASES = {
    "yolo_nas_s_coco": _release(
        "s", "c1b1d9148ab8ae5d5984699547e850955ff9efccaf568c67b3d605acb4bfe1cb"
    ),
    "yolo_nas_m_coco": _release(
        "m", "b194fc7fa196f76161c6356558bedf04fb99a62325a74a36a4bec3ca8ba48250"
    ),
    "yolo_nas_l_coco": _release(
        "l", "91a06beaa1ce1a651d6691e3198061da996eafc8890503238dedacbd4c392a32"
    ),
}


def is_remote(source: str) -> bool:
    """Whether this is an address or the name of a release, not a path."""
    return source in RELEASES or "://" in source


def fetch(
    source: str,
    *,
    accept_licence: bool = False,
    sha256: str | None = None,
    cache: Path | None = None,
) -> Path:
    """The file of an address or of a release's name, downloaded unless it is in the cache.

    Blocks, for minutes where the network is slow. The file appears in the cache whole and verified
    or not at all. Raises `CheckpointError`: without `accept_licence` for the public weights,
    without `sha256` for any other file, for anything but https, and when the file is not the one.
    """
    try:
        urlsplit(source)
    except ValueError as error:
        raise CheckpointError(f"{source!r:.200} is no address: {error}") from error
    release = _wanted(source, sha256)
    if not accept_licence and release.sha256 in {known.sha256 for known in RELEASES.values()}:
        raise CheckpointError(f"{_shown(source)}: {LICENCE}")
    folder = _cache() if cache is None else cache
    path = folder / f"{release.sha256[:16]}-{_file_name(release.urls[0])}"
    try:
        if path.is_file() and sha256_of(path) == release.sha256:
            return path
        folder.mkdir(parents=True, exist_ok=True)
        _download(release, path)
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from error
    return path


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _wanted(source: str, sha256: str | None) -> Release:
    """Where to find the file, and its checksum."""
    digest = None if sha256 is None else sha256.lower()
    if digest is not None and not SHA256.fullmatch(digest):
        raise CheckpointError(f"{sha256!r:.80} is no SHA-256: 64 hexadecimal digits")
    for name, release in RELEASES.items():
        if source == name or source in release.urls:
            if digest not in (None, release.sha256):
                raise CheckpointError(f"{name} has the SHA-256 {release.sha256}, not {digest}")
            return release if source == name else Release((source,), release.sha256)
    if digest is None:
        raise CheckpointError(
            f"{_shown(source)}: not a file that Eyrie knows; give the SHA-256 that its makers "
            "publish (--sha256), or download it yourself and give its path"
        )
    return Release((source,), digest)


def _download(release: Release, path: Path) -> None:
    """From the first address that answers."""
    faults = []
    for url in release.urls:
        try:
            with _scratch(path.parent) as scratch:
                _verify(url, _copy(url, scratch), release.sha256)
                scratch.replace(path)
                return
        except NETWORK_FAULTS as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it is the answer, too
            faults.append(f"{_shown(url)}: {getattr(error, 'reason', None) or error}")
    raise CheckpointError(f"cannot download {'; '.join(faults)}")


def _verify(url: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise CheckpointError(
            f"{_shown(url)}: the file has the SHA-256 {found}, not {wanted}: not kept"
        )


def _copy(url: str, path: Path) -> str:
    """Write what is at the address to a file; its SHA-256."""
    _check_scheme(url)
    digest, size = hashlib.sha256(), 0
    with _OPENER.open(url, timeout=TIMEOUT_S) as answer, path.open("wb") as file:
        said = answer.headers.get("Content-Length", "")
        expected = int(said) if said.isdigit() else None
        _check_size(url, expected or 0)
        while chunk := answer.read(CHUNK_BYTES):
            size += len(chunk)
            _check_size(url, size)
            digest.update(chunk)
            file.write(chunk)
    if expected not in (None, size):
        raise CheckpointError(f"{_shown(url)}: ended after {size} of {expected} bytes; try again")
    return digest.hexdigest()


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A new file in the folder, gone at the end unless it was moved away."""
    number, name = tempfile.mkstemp(dir=folder, suffix=".partial")
    os.close(number)
    path = Path(name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to addresses that could have been asked for."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        try:
            _check_scheme(newurl)
        except CheckpointError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_SafeRedirects)


def _check_scheme(url: str) -> None:
    """Raises `CheckpointError` for what others could change on its way, and for local files."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in HERE):
        return
    hint = "give the path alone" if parts.scheme == "file" else "only https is fetched from"
    raise CheckpointError(f"{_shown(url)}: {hint}")


def _check_size(url: str, size_bytes: int) -> None:
    if size_bytes > LARGEST_BYTES:
        raise CheckpointError(
            f"{_shown(url)}: has more than {LARGEST_BYTES / 2**30:.0f} GiB, which no checkpoint has"
        )


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "eyrie"


def _file_name(url: str) -> str:
    name = urlsplit(url).path.rpartition("/")[2]
    kept = "".join(char if char.isalnum() or char in "._-" else "_" for char in name)
    return kept[-100:] or "checkpoint.pth"


def _shown(source: str) -> str:
    """The address without what may be secret: user, password and query."""
    if "://" not in source:
        return source
    parts = urlsplit(source)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
