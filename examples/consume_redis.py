"""Read a Redis stream, check every message, remove duplicates, and prove that nothing is missing.

    python -m examples.consume_redis redis://localhost:6379/0 eyrie:detections

Ends when nothing has come for `--idle-s`, prints the account, and exits with 1 if a frame is
missing, 3 if Redis is away. Reads from the oldest entry that the stream still holds: `maxlen` may
have cut off more.
"""

import argparse
import sys
from collections.abc import Iterator

import redis

from examples.completeness import Inventory
from pipeline.core.messages import LineCrossMessage, read


def bodies(url: str, stream: str, idle_s: float) -> Iterator[bytes]:
    """The bodies of a stream's entries, in the order of writing."""
    last = "0-0"
    with redis.Redis.from_url(url, protocol=2) as client:
        while answer := client.xread({stream: last}, count=500, block=round(idle_s * 1000)):
            for entry_id, fields in answer[0][1]:
                last = entry_id
                yield fields[b"body"]


def main() -> int:
    """Read to the end: 1 if a frame is missing, 3 if that was not possible, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url", help="redis://HOST:PORT/DB")
    parser.add_argument("stream", nargs="?", default="eyrie:detections")
    parser.add_argument("--idle-s", type=float, default=10.0)
    args = parser.parse_args()
    inventory = Inventory()
    try:
        for body in bodies(args.url, args.stream, args.idle_s):
            message = read(body)
            if inventory.take(message) and isinstance(message, LineCrossMessage):
                told = message.line, message.direction, message.label, message.counts
                print(message.stream_id, *told)
    except redis.RedisError as error:
        print(f"consume_redis: {error}", file=sys.stderr)
        return 3
    print(*inventory.lines(), sep="\n")
    return int(any(ledger.missing for ledger in inventory.ledgers.values()))


if __name__ == "__main__":
    sys.exit(main())
