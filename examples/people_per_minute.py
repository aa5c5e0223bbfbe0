"""Count people who come in or go out over lines, and how many are in one picture, minute by minute.

    python -m examples.people_per_minute kafka://localhost:9092/detections [--group NAME]

Reads to the end of what is there; with `--group`, only what that group has not read before. Minutes
are UTC, of the time of capture, over all streams.
"""

import argparse
import asyncio
import sys
from collections import Counter
from datetime import datetime

from pipeline.core.messages import FrameMessage, LineCrossMessage
from sinks.consume import ConsumeError, Gap, consume


class Minutes:
    """Counts by minute of capture."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.crossings: Counter[tuple[datetime, str]] = Counter()
        self.most: Counter[datetime] = Counter()

    def add(self, message: object) -> None:
        """Count what is about the label."""
        if isinstance(message, FrameMessage):
            minute = message.captured_at.replace(second=0, microsecond=0)
            seen = sum(found.label == self.label for found in message.detections)
            self.most[minute] = max(self.most[minute], seen)
        elif isinstance(message, LineCrossMessage) and message.label == self.label:
            minute = message.crossed_at.replace(second=0, microsecond=0)
            self.crossings[minute, message.direction] += 1

    def lines(self) -> list[str]:
        """A line for each minute, the oldest first."""
        return [
            f"{minute:%Y-%m-%d %H:%M} at most {most} {self.label} at once, "
            f"{self.crossings[minute, 'in']} in, {self.crossings[minute, 'out']} out"
            for minute, most in sorted(self.most.items())
        ]


async def count(url: str, group: str | None, label: str, follow: bool) -> Minutes:
    """Read to the end, or for ever; says where messages are missing."""
    minutes = Minutes(label)
    async with consume(url, group, follow=follow) as messages:
        async for message in messages:
            if isinstance(message, Gap):
                print(f"{message.stream_id}: {message.frames} frames are missing")
            else:
                minutes.add(message)
    return minutes


def main() -> int:
    """0, or 3 when the messages cannot be read."""
    parser = argparse.ArgumentParser(description="People per minute.")
    parser.add_argument("url")
    parser.add_argument("--group")
    parser.add_argument("--label", default="person")
    args = parser.parse_args()
    try:
        minutes = asyncio.run(count(args.url, args.group, args.label, follow=False))
    except ConsumeError as error:
        print(f"people_per_minute: {error}", file=sys.stderr)
        return 3
    print(*minutes.lines() or ["no new frames"], sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
