"""What is in the spools of a folder, without taking them from the process that uses them."""

import json
from dataclasses import dataclass
from pathlib import Path

from sinks.spool.dead_letters import FILE_NAME
from sinks.spool.position import read_owner, read_position
from sinks.spool.salvage import salvage
from sinks.spool.segment import SUFFIX, count_in_header
from sinks.spool.segments import DAMAGED_FOLDER


@dataclass(frozen=True, slots=True)
class SpoolState:
    """One sink's spool as its files tell it; while a run uses it, a moment may be missing."""

    sink: str
    waiting: int
    """Messages that are not settled."""
    bytes: int
    oldest: str | None
    """When the first of them was published, as it says itself; None where none waits, or it is not
    readable."""
    dead_letters: int
    damaged_files: int
    owner: int | None
    """The process that uses it."""


def survey(folder: Path) -> list[SpoolState]:
    """All spools below `folder`, by name. Raises `OSError` where it cannot be read."""
    found = sorted(path for path in folder.iterdir() if (path / "identity").is_file())
    return [_look(path) for path in found]


def _look(folder: Path) -> SpoolState:
    paths = sorted(folder.glob(f"*{SUFFIX}"))
    numbers = read_position(folder / "position")
    floor, highest = numbers or (int(paths[0].stem) - 1 if paths else 0, 0)
    last = max(floor, highest, _last(paths[-1]) if paths else 0)
    return SpoolState(
        folder.name,
        last - floor,
        sum(path.stat().st_size for path in paths),
        _oldest(paths, floor + 1) if last > floor else None,
        _lines(folder / FILE_NAME),
        len(list((folder / DAMAGED_FOLDER).glob(f"*{SUFFIX}"))),
        read_owner(folder / "lock"),
    )


def _last(path: Path) -> int:
    count = count_in_header(path)
    if count is not None:
        return int(path.stem) - 1 + count
    return max(salvage(path.read_bytes()), default=int(path.stem) - 1)


def _oldest(paths: list[Path], number: int) -> str | None:
    holding = [path for path in paths if int(path.stem) <= number] or paths
    records = salvage(holding[-1].read_bytes())
    waiting = [found for found in records if found >= number]
    if not waiting:
        return None
    try:
        told = json.loads(records[min(waiting)].body)
    except ValueError:
        return None
    moment = told.get("published_at") if isinstance(told, dict) else None
    return moment if isinstance(moment, str) else None


def _lines(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return sum(1 for _ in file)
    except FileNotFoundError:
        return 0
