"""`eyrie spool dead`: what receivers refused for ever, and sending it once more."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import typer
from rich.console import Console

from pipeline.cli.spool_show import surveyed
from pipeline.core.errors import ConfigError
from pipeline.core.log import one_line
from sinks.spool.dead_letters import FILE_NAME, DeadLetter, parse_dead_letter
from sinks.spool.replay import Replayed, replay
from sinks.spool.settings import SpoolSettings
from sinks.spool.spool import Spool

_VARYING: Final = re.compile(r"[0-9a-f]{32}|[0-9]+")


@dataclass(slots=True)
class Group:
    """Dead letters of one sink and stream that were refused alike: their reasons differ in ids and
    numbers only, and `reason` is that of the first."""

    sink: str
    stream: str
    reason: str
    messages: int
    largest_bytes: int
    first_at: str
    last_at: str


def run_dead(folder: Path, sink: str | None, as_json: bool) -> int:
    """Print what was refused: the exit code."""
    groups: list[Group] = []
    unreadable: dict[str, int] = {}
    for name in _sinks(folder, sink):
        found: dict[tuple[str, str], Group] = {}
        for letter in _letters(folder / name / FILE_NAME):
            if letter is None:
                unreadable[name] = unreadable.get(name, 0) + 1
            else:
                _count(found, name, letter)
        groups += found.values()
    if as_json:
        told = {"groups": [asdict(group) for group in groups], "unreadable": unreadable}
        typer.echo(json.dumps(told, indent=2))
    else:
        _print(folder, groups, unreadable)
    return 0


def run_replay(folder: Path, sink: str | None, max_mb: int, as_json: bool) -> int:
    """Put them back into the spools: 0, or 1 where some stay. Raises `SinkUnavailable` for a spool
    that a run uses, behind those that were done."""
    done: dict[str, Replayed] = {}
    try:
        for name in _sinks(folder, sink):
            if (folder / name / FILE_NAME).exists():
                done[name] = _replay(folder / name, max_mb)
    finally:
        if as_json:
            typer.echo(json.dumps({name: asdict(each) for name, each in done.items()}, indent=2))
        else:
            _tell(folder, done)
    return 1 if any(each.no_room or each.unreadable for each in done.values()) else 0


def _replay(folder: Path, max_mb: int) -> Replayed:
    spool = Spool(folder, SpoolSettings(max_mb << 20, "block", "always"), folder.name)
    spool.open()
    try:
        return replay(spool)
    finally:
        spool.close()


def _sinks(folder: Path, sink: str | None) -> list[str]:
    names = [state.sink for state in surveyed(folder)]
    if sink is None:
        return names
    if sink not in names:
        known = ", ".join(names) or "no sink has a spool there"
        raise ConfigError("--sink", f"{sink!r} has no spool in {folder}: {known}")
    return [sink]


def _letters(path: Path) -> Iterator[DeadLetter | None]:
    """None for a line that is none."""
    if path.exists():
        with path.open("rb") as lines:
            yield from (parse_dead_letter(line) for line in lines if line.strip())


def _count(groups: dict[tuple[str, str], Group], sink: str, letter: DeadLetter) -> None:
    message, at = letter.message, letter.at
    place = message.key, _VARYING.sub("#", letter.reason)
    group = groups.get(place)
    if group is None:
        reason = one_line(letter.reason)
        group = groups[place] = Group(sink, message.key, reason, 0, 0, at, at)
    group.messages += 1
    group.largest_bytes = max(group.largest_bytes, len(message.body))
    group.first_at, group.last_at = min(group.first_at, at), max(group.last_at, at)


def _print(folder: Path, groups: list[Group], unreadable: dict[str, int]) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    for each in groups:
        what = f"{each.sink}, stream {one_line(each.stream)}: {each.messages} messages"
        when = f"{each.first_at} to {each.last_at}"
        console.print(f"{what} of up to {each.largest_bytes} bytes, {when}")
        console.print(f"    {each.reason}")
    for sink, count in unreadable.items():
        console.print(f"{folder / sink / FILE_NAME}: {count} lines are no dead letters")
    if not groups and not unreadable:
        console.print(f"no dead letters in {folder}")


def _tell(folder: Path, done: dict[str, Replayed]) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    for name, each in done.items():
        path = folder / name / FILE_NAME
        console.print(f"{name}: {each.moved} wait in the spool, the next run delivers them")
        if each.no_room:
            why = "the spool has no room: let a run deliver first, or raise --max-mb"
            console.print(f"{name}: {each.no_room} stay in {path}: {why}")
        if each.unreadable:
            console.print(
                f"{name}: {each.unreadable} lines of {path} stay: they are no dead letters"
            )
    if not done:
        console.print(f"no dead letters in {folder}")
