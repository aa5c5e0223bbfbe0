"""The meaning of a SOURCE argument of the command line."""

import glob
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from pipeline.core.errors import ConfigError
from pipeline.core.log import get_logger, redact
from pipeline.core.picture_files import PICTURE_SUFFIXES, VIDEO_SUFFIXES, files_in
from stages.sources.address import SCHEMES, CameraAddress

log = get_logger(__name__)

STREET: Final = "street"
WATCH: Final = "watch"
STDIN: Final = "-"
LONGEST_NAME: Final = 100
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")

Kind = Literal["file", "images", "rtsp", "http", "webcam", "stdin", "watch", "street"]
_WEB: Final = ("http", "https")


@dataclass(frozen=True, slots=True)
class Found:
    """One stream. `name` is unique among its siblings, of letters, digits, `.`, `_`, `-`, 100
    or a few more if it had to be numbered.
    `location` is a path, an address (which may hold a password: show `name` instead), or the
    street's seed in digits; of standard input, `-`."""

    kind: Kind
    name: str
    location: str

    def __repr__(self) -> str:
        return f"Found({self.kind!r}, {self.name!r}, {redact(self.location)!r})"


def expand(source: str) -> list[Found]:
    """The streams that `source` stands for, at least one, in order of their names.

    A video file or a picture, a folder of videos (a stream each) or of pictures (one stream), a
    glob pattern, an address (rtsp, rtsps, http or https), a device such as /dev/video0, `watch:`
    with a folder, `-` for standard input, or `street:` with an optional seed. Raises `ConfigError`.
    """
    return expand_all([source])


def expand_all(sources: Sequence[str]) -> list[Found]:
    """Expand several arguments, as `expand`: names are unique over all of them."""
    return _unique(found for source in sources for found in _readable(source))


def _readable(source: str) -> list[Found]:
    try:
        return _meaning(source)
    except OSError as error:
        raise ConfigError("", f"source {source!r}: {error.strerror}") from error


def _meaning(source: str) -> list[Found]:
    if not source.strip():
        raise ConfigError("", "source is empty: give a video, a folder, an address or street:")
    if source == STDIN:
        return [Found("stdin", "stdin", STDIN)]
    scheme, colon, rest = source.partition(":")
    if colon and scheme.lower() == STREET:
        return [_street(source, rest)]
    if colon and scheme.lower() == WATCH:
        return [_watched(source, rest)]
    path = Path(source)
    if "://" in source and not path.exists():
        return [_address(source)]
    if path.is_dir():
        return _folder(path)
    if path.exists():
        return [_single(path)]
    if glob.has_magic(source):
        return _pattern(source)
    if source.startswith("/dev/"):
        raise ConfigError("", f"source {source!r}: no such device; is the camera plugged in?")
    raise ConfigError("", f"source {source!r}: no such file or folder, and not an address")


def _street(source: str, seed: str) -> Found:
    if not seed:
        return Found(STREET, STREET, "0")
    if not (seed.isascii() and seed.isdigit()):
        raise ConfigError("", f"source {source!r}: the seed must be digits, as in street:7")
    return Found(STREET, f"{STREET}-{int(seed)}", str(int(seed)))


def _watched(source: str, folder: str) -> Found:
    if not folder or not Path(folder).is_dir():
        raise ConfigError("", f"source {source!r}: no such folder, as in watch:/srv/uploads")
    return Found(WATCH, _safe(Path(folder).resolve().name), folder)


def _address(source: str) -> Found:
    scheme = source.partition("://")[0].lower()
    if scheme not in (*SCHEMES, *_WEB):
        raise ConfigError("", f"source {scheme}://…: only rtsp, rtsps, http and https can be read")
    kind: Kind = "http" if scheme in _WEB else "rtsp"
    try:
        shown = urlsplit(
            CameraAddress.parse(source, schemes=_WEB if kind == "http" else SCHEMES).shown
        )
    except ValueError as error:
        raise ConfigError("", f"source {scheme}://…: {error}") from None
    return Found(kind, _safe(f"{shown.hostname}{shown.path}"), source)


def _single(path: Path) -> Found:
    if path.is_char_device():
        return Found("webcam", _safe(path.name), str(path))
    kind: Kind = "images" if path.suffix.lower() in PICTURE_SUFFIXES else "file"
    return Found(kind, _safe(path.stem), str(path))


def _folder(folder: Path) -> list[Found]:
    videos, pictures = files_in(folder, VIDEO_SUFFIXES), files_in(folder, PICTURE_SUFFIXES)
    if not videos and not pictures:
        raise ConfigError("", f"source {str(folder)!r}: neither videos nor pictures in this folder")
    if not videos:
        return [Found("images", _safe(folder.resolve().name), str(folder))]
    if pictures:
        log.warning("%s: reading its %d videos, not its %d pictures",
                     folder, len(videos), len(pictures))  # fmt: skip
    return [_single(video) for video in videos]


def _pattern(pattern: str) -> list[Found]:
    matches = sorted(Path(match) for match in glob.glob(pattern, recursive=True))  # noqa: PTH207 - absolute patterns
    found = [_single(path) for path in matches if path.is_file()]
    if not found:
        raise ConfigError("", f"source {pattern!r}: no file matches this pattern")
    if len(found) > 1 and any(one.kind == "images" for one in found):
        why = "matches several pictures; name their folder, which is one stream"
        raise ConfigError("", f"source {pattern!r}: {why}")
    return found


def _safe(text: str) -> str:
    return _UNSAFE.sub("-", text).lstrip("-._")[:LONGEST_NAME].rstrip("-.") or "stream"


def _unique(found: Iterable[Found]) -> list[Found]:
    """Repeated names get -2, -3 and so on, passing over names that are taken."""
    taken: set[str] = set()
    result = []
    for one in found:
        name, number = one.name, 1
        while name in taken:
            number += 1
            name = f"{one.name}-{number}"
        taken.add(name)
        result.append(replace(one, name=name))
    return result
