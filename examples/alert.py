"""Say when something of a class crosses a line, or a camera goes blind or away.

    python -m examples.alert redis://localhost:6379/0 --label truck --line gate --direction in

Follows what is new, until Ctrl-C. `alarm` prints; put your own there. A message that comes twice
alarms once.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable

from pipeline.core.messages import LineCrossMessage, StreamStatusMessage
from sinks.consume import ConsumeError, Gap, consume
from sinks.consume.base import Begin


def reason(message: object, label: str, line: str | None, direction: str | None) -> str | None:
    """What to say of it; None: nothing."""
    match message:
        case LineCrossMessage():
            wanted = (line in (None, message.line)) and (direction in (None, message.direction))
            if wanted and message.label == label:
                return f"{label} {message.track_id} crossed {message.line} {message.direction}"
        case StreamStatusMessage(status="down" | "impaired"):
            return f"{message.status}: {message.condition or message.reason}"
        case Gap():
            return f"{message.frames} frames are missing: crossings may be, too"
    return None


async def watch(
    url: str,
    alarm: Callable[[str, str], None],
    label: str,
    line: str | None = None,
    direction: str | None = None,
    begin: Begin = "newest",
    follow: bool = True,
) -> None:
    """Call `alarm(stream_id, text)` for each."""
    async with consume(url, begin=begin, follow=follow) as messages:
        async for message in messages:
            text = reason(message, label, line, direction)
            if text is not None:
                alarm(message.stream_id, text)


def main() -> int:
    """130 after Ctrl-C, 3 when the messages cannot be read."""
    parser = argparse.ArgumentParser(description="Alerts by class and line.")
    parser.add_argument("url")
    parser.add_argument("--label", default="person")
    parser.add_argument("--line")
    parser.add_argument("--direction", choices=("in", "out"))
    args = parser.parse_args()

    def alarm(stream_id: str, text: str) -> None:
        print(f"{stream_id}: {text}", flush=True)

    try:
        asyncio.run(watch(args.url, alarm, args.label, args.line, args.direction))
    except KeyboardInterrupt:
        return 130
    except ConsumeError as error:
        print(f"alert: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
