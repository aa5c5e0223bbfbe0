"""`eyrie verify`: is everything there, and nothing twice without a reason."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from pipeline.cli.reading import ANSWER_S, password_for, quiet_clients
from pipeline.cli.verify_request import Request
from pipeline.core.errors import ConfigError
from pipeline.core.log import one_line
from sinks.consume.address import parse_address
from sinks.consume.base import ConsumeUnavailable, Reading, Record
from sinks.consume.open_reader import make_reader
from sinks.consume.proof import KINDS, Asked, Proof
from sinks.consume.stream_proof import StreamProof
from sinks.spool.dead_letters import FILE_NAME

_READ_S, _SILENCE_S = 1.0, 30.0


def run_verify(request: Request) -> int:
    """Read it all: 0 when complete, 1 when not, with what is wrong on standard output."""
    quiet_clients()
    proof = Proof(_asked(request))
    _read(request, proof)
    for path in request.dead_letters or ():
        proof.take(_dead_letters(path), dead_letters=True)
    if request.as_json:
        print(json.dumps(as_dict(proof), indent=2))
    else:
        _print(proof, Console(highlight=False, markup=False))
    return 0 if proof.complete else 1


def _asked(request: Request) -> Asked:
    if unknown := set(request.kinds or ()) - KINDS:
        raise ConfigError("--kind", f"{min(unknown)!r} is none of {', '.join(sorted(KINDS))}")
    kinds = frozenset(request.kinds or ()) or KINDS
    runs, streams = request.runs or (), request.streams or ()
    return Asked(runs, streams, kinds, request.trimmed, request.strict, request.any_order)


def _read(request: Request, proof: Proof) -> None:
    """All that is there now. Raises `ConsumeUnavailable` when nothing comes for `_SILENCE_S`."""
    reading = Reading(follow=False, password=password_for(request.url), timeout_s=ANSWER_S)
    reader = make_reader(parse_address(request.url), reading)
    console = Console(stderr=True)
    silent = request.as_json or not console.is_terminal
    with Progress(console=console, disable=silent, transient=True) as bar:
        task = bar.add_task("messages 0", total=None)
        try:
            reader.open()
            heard_s = time.monotonic()
            while not reader.exhausted:
                if records := reader.read(_READ_S):
                    proof.take(records)
                    heard_s = time.monotonic()
                    bar.update(task, description=f"messages {proof.read:,}")
                elif time.monotonic() - heard_s > _SILENCE_S:
                    why = f"nothing came for {_SILENCE_S:g} s, and the end is not reached"
                    raise ConsumeUnavailable(reader.where, why)
        finally:
            reader.close()


def _dead_letters(path: Path) -> Iterator[Record]:
    """The bodies in a file of dead letters, or in all below a folder of spools, which may have
    none."""
    files = sorted(path.rglob(FILE_NAME)) if path.is_dir() else [path]
    if not files and not any(path.rglob("identity")):
        raise ConfigError("--dead-letters", f"{path} holds neither a spool nor a {FILE_NAME}")
    for file in files:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                yield Record(_body(line), str(file), number)


def _body(line: bytes) -> bytes:
    """The body of a dead letter; what is none gives no message, and is told as such."""
    try:
        letter = json.loads(line)
        body = letter["body"]
        return body.encode() if isinstance(body, str) else base64.b64decode(body["base64"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return line


def as_dict(proof: Proof) -> dict[str, Any]:
    """The result for programs."""
    return {
        "complete": proof.complete,
        "read": proof.read,
        "invalid": proof.invalid,
        "invalid_first": proof.told,
        "streams": [_stream(proof, stream) for stream in proof.streams.values()],
    }


def _stream(proof: Proof, stream: StreamProof) -> dict[str, Any]:
    holes = stream.holes(proof.asked.trimmed) if "frame" in proof.asked.kinds else []
    return {
        "run_id": stream.run_id,
        "stream_id": stream.stream_id,
        "ended": stream.is_ended,
        "messages": dict(stream.kinds),
        "dropped": dict(stream.dropped),
        "duplicates": stream.duplicates,
        "same_id_other_content": stream.conflicts,
        "out_of_order": stream.disorder,
        "told_twice": stream.contradictions,
        "dead_lettered": stream.dead_lettered,
        "epochs": {
            str(number): {
                "frames": epoch.frames,
                "dropped": epoch.dropped,
                "first_seq": epoch.first_seq,
                "last_seq": epoch.last_seq,
            }
            for number, epoch in sorted(stream.epochs.items())
        },
        "holes": [
            {
                "first_seq": hole.first_seq,
                "last_seq": hole.last_seq,
                "epoch": hole.epoch,
                "next_epoch": hole.next_epoch,
            }
            for hole in holes
        ],
        "faults": proof.faults(stream),
    }


def _print(proof: Proof, console: Console) -> None:
    table = Table(title=f"{proof.read:,} messages read", title_justify="left")
    for column in ("run", "stream", "epochs", "frames", "dropped", "others", "duplicates", "end"):
        table.add_column(column, justify="left" if column in ("run", "stream", "end") else "right")
    for stream in proof.streams.values():
        others = stream.kinds.total() - stream.frames
        end = "ended" if stream.is_ended else "open"
        table.add_row(
            one_line(stream.run_id), one_line(stream.stream_id),
            f"{len(stream.epochs)}", f"{stream.frames}", f"{stream.dropped.total()}", f"{others}",
            f"{stream.duplicates}", end,
        )  # fmt: skip
    console.print(table)
    if not all(stream.is_ended for stream in proof.streams.values()):
        console.print("open: without end_of_stream; it still runs, or was cut off", soft_wrap=True)
    for text in _wrong(proof):
        console.print(text, style="red", soft_wrap=True)
    dead = sum(stream.dead_lettered for stream in proof.streams.values())
    if dead:
        console.print(f"{dead} of these are dead letters", soft_wrap=True)
    if proof.complete:
        console.print("complete: nothing is missing", style="green")
    elif not proof.streams:
        console.print("there is no message to be proved", style="red")


def _wrong(proof: Proof) -> Iterator[str]:
    for stream in proof.streams.values():
        name = one_line(f"{stream.stream_id} (run {stream.run_id})")
        yield from (f"missing: {name}, {hole}" for hole in proof.holes(stream))
        yield from (f"wrong: {name}: {fault}" for fault in proof.faults(stream))
    yield from (f"no message: {told}" for told in proof.told)
    if proof.invalid > len(proof.told):
        yield f"and {proof.invalid - len(proof.told)} more that are no messages"
