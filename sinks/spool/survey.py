"""A survey of the spools of a folder, without taking them from the process that uses them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sinks.spool.dead_letters import FILE_NAME
from sinks.spool.position import read_owner, read_position
from sinks.spool.salvage import salvage
from sinks.spool.segment import SUFFIX, Segment, SegmentName, count_in_header
from sinks.spool.segments import DAMAGED_FOLDER, find_segments

_OURS: Final = frozenset({"lock", "identity", "position", DAMAGED_FOLDER})


@dataclass(frozen=True, slots=True)
class SpoolState:
    """One sink's spool as its files tell it; while a run uses it, a moment may be missing."""

    sink: str
    waiting: int
    """Messages that are not settled."""
    bytes: int
    oldest: str | None
    """The time at which the first of them was published, as it says itself; None where none waits,
    or it is not readable."""
    dead_letters: int
    damaged_files: int
    owner: int | None
    """The process that uses it."""
    foreign: list[str]
    """Names of what is in the folder and not of a spool; nothing touches it."""


def survey(folder: Path) -> list[SpoolState]:
    """Look at all spools below `folder`, by name. Raises `OSError` where it cannot be read."""
    found = sorted(path for path in folder.iterdir() if (path / "identity").is_file())
    return [_look(path) for path in found]


def _look(folder: Path) -> SpoolState:
    numbers = read_position(folder / "position")
    segments, foreign = find_segments(folder, numbers[1] if numbers else 0)
    floor, highest = numbers or (segments[0].first - 1 if segments else 0, 0)
    last = max(floor, highest, _last(segments[-1]) if segments else 0)
    return SpoolState(
        folder.name,
        last - floor,
        sum(segment.bytes for segment in segments),
        _oldest(segments, floor + 1) if last > floor else None,
        _lines(folder / FILE_NAME),
        len(list((folder / DAMAGED_FOLDER).glob(f"*{SUFFIX}"))),
        read_owner(folder / "lock"),
        sorted(path.name for path in folder.iterdir() if path in foreign or not _is_ours(path)),
    )


def _is_ours(path: Path) -> bool:
    segment = path.with_name(path.name.removesuffix("-journal"))
    return (
        path.name in _OURS
        or path.name.startswith(FILE_NAME)  # rotated
        or SegmentName.of(segment) is not None
    )


def _last(segment: Segment) -> int:
    count = count_in_header(segment.path)
    if count is not None:
        return segment.first - 1 + count
    return max(salvage(_content(segment.path)), default=segment.first - 1)


def _oldest(segments: list[Segment], number: int) -> str | None:
    holding = [segment for segment in segments if segment.first <= number] or segments
    records = salvage(_content(holding[-1].path)) if holding else {}
    waiting = [found for found in records if found >= number]
    if not waiting:
        return None
    try:
        told = json.loads(records[min(waiting)].body)
    except (ValueError, RecursionError):
        return None
    moment = told.get("published_at") if isinstance(told, dict) else None
    return moment if isinstance(moment, str) else None


def _content(path: Path) -> bytes:
    """Nothing of a file that a run has let go of meanwhile."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _lines(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return sum(1 for _ in file)
    except FileNotFoundError:
        return 0
