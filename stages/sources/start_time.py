"""The start of a recording: by a sidecar file, its name, its container, or its modification
time."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipeline.core.clock import SECOND_NS, ClockSource
from pipeline.core.log import get_logger

log = get_logger(__name__)

SIDECAR_SUFFIXES: Final = (".start", ".json")
LARGEST_SIDECAR_BYTES: Final = 1_048_576
UNKNOWN_YEAR: Final = 1970  # containers write 1904 or 1970 for "not known"
_SECONDS_OF: Final = {"f": 0.001, "S": 1, "s": 1, "M": 60, "H": 3600, "d": 86_400, "j": 86_400}
_DIGITS: Final = {
    "Y": r"\d{4}", "y": r"\d\d", "m": r"\d\d", "d": r"\d\d", "j": r"\d{3}", "H": r"\d\d",
    "M": r"\d\d", "S": r"\d\d", "f": r"\d{1,6}", "s": r"\d{10}", "z": r"(?:[+-]\d\d:?\d\d|Z)",
    "%": "%",
}  # fmt: skip
_DAY: Final = ({"Y", "y"}, {"m", "j"}, {"d", "j"})
_UTC_NAMES: Final = frozenset({"UTC", "Z", "GMT"})


@dataclass(frozen=True, slots=True)
class StartTime:
    """Wall clock of the recording's first picture, how it is known, and how far it may be off."""

    utc_ns: int
    clock: ClockSource
    uncertainty_ns: int


class UnclearStart(ValueError):
    """A sidecar that does not say what it is there for; the text is for its author."""


def parse_zone(name: str) -> tzinfo:
    """A time zone by its IANA name, or as an offset: `Europe/Berlin`, `UTC`, `+01:00`.

    Raises `ValueError` if there is none such on this machine."""
    if name in _UTC_NAMES:
        return UTC
    offset = re.fullmatch(r"([+-])([01]\d|2[0-3]):?([0-5]\d)", name)
    if offset:
        minutes = int(offset[2]) * 60 + int(offset[3])
        return timezone(timedelta(minutes=minutes if offset[1] == "+" else -minutes))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"{name!r} is no time zone that this machine knows: give a name such as Europe/Berlin,"
            " UTC, or an offset such as +01:00"
        ) from None


class NamePattern:
    """Finds a time in the name of a file, by a pattern of `strftime`: `%Y%m%d_%H%M%S`.

    Known are %Y %y %m %d %j %H %M %S %f %s (Unix seconds) %z and %%. The pattern may stand anywhere
    in the name; all else in it is taken literally. Raises `ValueError` for any other pattern, and
    for one that does not give a whole date.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        used = re.findall(r"%(.?)", pattern)
        unknown = [code for code in used if code not in _DIGITS]
        if unknown:
            known = " ".join(f"%{code}" for code in _DIGITS)
            raise ValueError(f"%{unknown[0]} is not known here; use {known}")
        if len(set(used) - {"%"}) != len([code for code in used if code != "%"]):
            raise ValueError("each part of the time may be there once")
        if "s" not in used and not all(part & set(used) for part in _DAY):
            raise ValueError("a whole date is needed: %Y%m%d or %Y%j, or %s")
        if "s" in used and set(used) - {"s", "%", "f"}:
            raise ValueError("%s is a whole time: only %f may be beside it")
        pieces = re.split(r"%(.)", pattern)
        self._regex = re.compile(
            "".join(
                f"(?P<{piece}>{_DIGITS[piece]})" if place % 2 and piece != "%" else re.escape(piece)
                for place, piece in enumerate(pieces)
            )
        )
        self.resolution_ns = round(min(_SECONDS_OF.get(code, 86_400) for code in used) * SECOND_NS)

    def find(self, name: str, zone: tzinfo) -> tuple[int, int] | None:
        """Find the first time in `name` as (Unix ns, uncertainty in ns); None: there is none."""
        for match in self._regex.finditer(name):
            parts = match.groupdict()
            micros = int(parts.pop("f", "0").ljust(6, "0"))
            if "s" in parts:
                return int(parts["s"]) * SECOND_NS + micros * 1000, self.resolution_ns
            try:
                moment = datetime.strptime(
                    " ".join(parts.values()), " ".join(f"%{code}" for code in parts)
                )
            except ValueError:  # 31 February, hour 25
                continue
            start_ns, doubt_ns = _unix_ns(moment.replace(microsecond=micros), zone)
            return start_ns, self.resolution_ns + doubt_ns
        return None


class StartRule:
    """The rule for a recording's start; the first that is there counts:

    1. a sidecar, `NAME.start` or `NAME.json` (clock `file`);
    2. the file's name, if there is a `pattern` (`file`);
    3. the container's creation time (`container`);
    4. the modification time less the duration (`file`).

    Some recorders write the creation time at the start and some at the end, and a copy may have a
    new modification time, so 3 and 4 are uncertain by the duration and a second.

    Times that name no zone are in `zone`. Raises `ValueError` for a pattern or zone that is none.
    """

    def __init__(self, pattern: str | None = None, zone: str = "UTC") -> None:
        self._pattern = NamePattern(pattern) if pattern is not None else None
        self._shown = pattern
        self._zone = parse_zone(zone)

    def start(self, video: Path, creation_time: str, duration_ns: int) -> StartTime:
        """The start of `video`, whose container has the tag `creation_time` ("": none). Raises
        `UnclearStart` for a sidecar that says no time."""
        found = from_sidecar(video, self._zone)
        if found is None and self._pattern is not None:
            found = from_name(video, self._pattern, self._zone)
            if found is None:
                log.warning("%s: no time like %s in its name", video, self._shown)
        doubt_ns = duration_ns + SECOND_NS
        found = found or from_container(creation_time, doubt_ns)
        return found or StartTime(video.stat().st_mtime_ns - duration_ns, "file", doubt_ns)


def from_sidecar(video: Path, zone: tzinfo = UTC) -> StartTime | None:
    """The start that `NAME.start` or `NAME.json` beside `NAME.mp4` says; None: there is no such
    file, or the JSON has no `start_time` and so belongs to something else.

    Raises `UnclearStart` if it says something that is no time.
    """
    for suffix in SIDECAR_SUFFIXES:
        path = video.with_suffix(suffix)
        if path == video or not path.is_file():
            continue
        found = _from_json(path, zone) if suffix == ".json" else _from_text(path, zone)
        if found is not None:
            return found
    return None


def from_name(video: Path, pattern: NamePattern, zone: tzinfo = UTC) -> StartTime | None:
    """The start that the name says; None: nothing that fits the pattern."""
    found = pattern.find(video.stem, zone)
    return None if found is None else StartTime(found[0], "file", found[1])


def from_container(text: str, uncertainty_ns: int) -> StartTime | None:
    """The start that the tag `creation_time` says; None: nothing, or a year that means "not
    known"."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.year <= UNKNOWN_YEAR:
        return None
    return StartTime(_unix_ns(moment, UTC)[0], "container", uncertainty_ns)


def _from_text(path: Path, zone: tzinfo) -> StartTime:
    text = _read(path).strip()
    start_ns, doubt_ns = _moment(path, text, zone)
    return StartTime(start_ns, "file", SECOND_NS + doubt_ns)


def _from_json(path: Path, zone: tzinfo) -> StartTime | None:
    if path.stat().st_size > LARGEST_SIDECAR_BYTES:
        return None
    try:
        said = json.loads(_read(path))
    except ValueError:
        return None
    if not isinstance(said, dict) or "start_time" not in said:
        return None
    start_ns, doubt_ns = _moment(path, said["start_time"], zone)
    uncertainty_s = said.get("uncertainty_s", 1)
    if isinstance(uncertainty_s, bool) or not isinstance(uncertainty_s, int | float):
        raise UnclearStart(f"{path}: uncertainty_s must be a number of seconds")
    if not 0 <= uncertainty_s < 1e9:
        raise UnclearStart(f"{path}: uncertainty_s must be 0 or more")
    return StartTime(start_ns, "file", round(uncertainty_s * SECOND_NS) + doubt_ns)


def _moment(path: Path, said: object, zone: tzinfo) -> tuple[int, int]:
    if isinstance(said, int | float) and not isinstance(said, bool) and 0 < said < 1e11:
        return round(said * 1_000_000) * 1000, 0
    try:
        return _unix_ns(datetime.fromisoformat(str(said)), zone)
    except (ValueError, OverflowError):
        shown = str(said)[:40]
        raise UnclearStart(
            f"{path}: {shown!r} is no time; write one such as 2026-11-24T09:30:00.500+01:00"
        ) from None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_SIDECAR_BYTES).decode()
    except OSError as error:
        raise UnclearStart(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UnclearStart(f"{path} is no text in UTF-8") from None


def _unix_ns(moment: datetime, zone: tzinfo) -> tuple[int, int]:
    """Unix nanoseconds, and by how much they may be off: an hour that a clock shows twice is told
    as the first one."""
    doubt = timedelta(0)
    if moment.tzinfo is None:
        first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
        doubt = abs((first.utcoffset() or doubt) - (second.utcoffset() or doubt))
        moment = first
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(microseconds=1) * 1000, doubt // timedelta(microseconds=1) * 1000
