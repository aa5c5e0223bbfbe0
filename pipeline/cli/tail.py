"""`eyrie tail`: messages as they come, a line each."""

import asyncio
import contextlib
import json
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import asdict
from datetime import datetime
from typing import Final

from rich.console import Console
from rich.text import Text

from pipeline.cli.options import names
from pipeline.cli.reading import ANSWER_S, begin_at, password_for, quiet_clients
from pipeline.cli.tail_request import Request
from pipeline.core.clock import SystemClock, utc_datetime
from pipeline.core.log import counted, one_line
from pipeline.core.messages import (
    EndOfStreamMessage,
    EventMessage,
    FrameMessage,
    Message,
    OtherMessage,
    StreamStatusMessage,
    TrackEndMessage,
)
from sinks.consume import Consumer, Gap, consume
from sinks.consume.base import Begin

_HUES: Final = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta")
_MARKS: Final = {
    "frame": ("·", "dim"),
    "event": ("◆", "bold yellow"),
    "track_end": ("┘", "dim"),
    "stream_status": ("!", "bold blue"),
    "end_of_stream": ("■", "bold"),
    "gap": ("?", "bold red"),
}
_SILENT_S: Final = 2.0
"""The time without a message after which the user is told what is waited for."""
_WRONG: Final = ("down", "impaired")


def run_tail(request: Request) -> int:
    """Print until the end, or until a signal: 0, or 1 when there were gaps, or something that is no
    message. Raises `ConsumeError`, also where the broker is not there at the start."""
    quiet_clients()
    now = utc_datetime(SystemClock().utc_ns())
    default: Begin = "newest" if request.follow else "oldest"
    begin = begin_at(request.since, default, now)
    labels = names("--class", request.classes)
    messages = consume(
        request.url,
        begin=begin,
        follow=request.follow,
        password=password_for(request.url),
        timeout_s=ANSWER_S,
    )
    console = Console(highlight=False, soft_wrap=True)
    complaints = Console(stderr=True, highlight=False, soft_wrap=True)
    show = _json if request.as_json else lambda message: console.print(line_of(message))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_print(messages, request, labels, show, complaints))
    account = messages.account
    if account.invalid:
        skipped = counted(account.invalid, "record")
        complaints.print(f"eyrie: skipped {skipped}, of another form than Eyrie's messages")
    return 1 if account.gaps or account.invalid else 0


Shown = Message | OtherMessage | Gap


async def _print(
    messages: Consumer,
    request: Request,
    labels: Collection[str],
    show: Callable[[Shown], None],
    complaints: Console,
) -> None:
    """Print what is asked for. Where nothing comes for a while, `complaints` says so, once."""

    def explain_silence() -> None:
        if messages.connected and not messages.account.read:
            more = "" if request.since else "; --since oldest shows what is there"
            complaints.print(f"waiting for new messages{more}")

    if request.follow:
        asyncio.get_running_loop().call_later(_SILENT_S, explain_silence)
    async with messages:
        async for message in messages:
            if wanted(message, request, labels):
                show(message)


def wanted(message: Shown, request: Request, labels: Collection[str]) -> bool:
    """Whether the request asks for it. Gaps go by stream only; `labels` leave out what is about
    no class."""
    if request.streams and message.stream_id not in request.streams:
        return False
    if isinstance(message, Gap):
        return True
    if request.kinds and message.kind not in request.kinds:
        return False
    return not labels or not _labels(message).isdisjoint(labels)


def _labels(message: Message | OtherMessage) -> set[str]:
    if isinstance(message, FrameMessage):
        return {found.label for found in message.detections}
    label = getattr(message, "label", None)
    return set() if label is None else {label}


def _json(message: Shown) -> None:
    if isinstance(message, Gap):
        text = json.dumps(asdict(message))
    else:
        text = message.model_dump_json(by_alias=True)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def line_of(message: Shown) -> Text:
    """Time of what happened, stream, kind, and what there is to say of it."""
    mark, style = _MARKS.get(message.kind, ("+", ""))
    moment = "" if isinstance(message, Gap) else f"{_moment(message):%H:%M:%S.%f}"[:-3]
    hue = _HUES[zlib.crc32(message.stream_id.encode()) % len(_HUES)]
    text, loud = _said(message)
    return Text.assemble(
        (f"{moment:12} ", "dim"),
        (f"{message.stream_id:14} ", hue),
        (f"{mark} {message.kind:13} ", style),
        (one_line(text), loud),
    )


def _moment(message: Message | OtherMessage) -> datetime:
    for name in ("crossed_at", "happened_at", "captured_at"):
        moment = getattr(message, name, None)
        if isinstance(moment, datetime):
            return moment
    return message.published_at


def _said(message: Shown) -> tuple[str, str]:
    """The rest of the line, and its style."""
    match message:
        case Gap():
            lost = f"seq {message.first_seq} to {message.last_seq}: {message.frames} frames missing"
            return lost, "bold red"
        case FrameMessage():
            return _frame(message), "" if message.detections else "dim"
        case EventMessage():
            return _event(message), "yellow"
        case TrackEndMessage():
            seen = f"seq {message.first_seq} to {message.last_seq}"
            return f"{message.label} {message.track_id}: {seen}", "dim"
        case StreamStatusMessage():
            what = " ".join(filter(None, (message.status, message.condition, message.cause)))
            return f"{what}: {message.reason}", "red" if message.status in _WRONG else "blue"
        case EndOfStreamMessage():
            dropped = sum(message.dropped.values())
            totals = f"{message.decoded} decoded, {message.published} told, {dropped} dropped"
            return f"{totals}: {message.error}" if message.error else totals, "bold"
    return "of a later version", "dim"


def _frame(message: FrameMessage) -> str:
    counts = Counter(found.label for found in message.detections)
    found = ", ".join(f"{count} {label}" for label, count in counts.most_common()) or "nothing"
    dropped = sum(message.dropped_since_last.values())
    return f"{message.seq:>6}  {found}" + (f"  (after {dropped} dropped)" if dropped else "")


def _event(message: EventMessage) -> str:
    words = (getattr(message, name, None) for name in ("label", "track_id", "event", "direction"))
    place = getattr(message, "line", None) or getattr(message, "zone", None)
    said = " ".join(str(word) for word in words if word is not None)
    return f"{said} at {place}" if place else said
