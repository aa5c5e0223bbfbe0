"""Load detections and events into PostgreSQL, each once.

    pip install "psycopg[binary]"
    python -m examples.to_postgres kafka://localhost:9092/detections "dbname=cameras"

Follows what comes, until Ctrl-C; the next start goes on from there (`consume` in group `postgres`).
The key is the message id, so what comes twice, also after a crash of this program, changes nothing.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import psycopg

from pipeline.core.messages import FrameMessage, LineCrossMessage
from sinks.consume import ConsumeError, consume

TABLES = """
CREATE TABLE IF NOT EXISTS detections (message_id text, place int, stream text,
  captured timestamptz, label text, score real, track int, x1 real, y1 real, x2 real, y2 real,
  PRIMARY KEY (message_id, place));
CREATE TABLE IF NOT EXISTS crossings (message_id text PRIMARY KEY, stream text, crossed timestamptz,
  line text, direction text, label text, track int)"""
DETECTION = (
    "INSERT INTO detections VALUES (%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s) ON CONFLICT DO NOTHING"
)
CROSSING = "INSERT INTO crossings VALUES (%s,%s,%s,%s,%s,%s,%s) ON CONFLICT DO NOTHING"


def rows(message: object) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Statements and their values for one message."""
    if isinstance(message, FrameMessage):
        for place, found in enumerate(message.detections):
            head = (message.message_id, place, message.stream_id, message.captured_at)
            yield DETECTION, (*head, found.label, found.score, found.track_id, *found.box)
    elif isinstance(message, LineCrossMessage):
        crossed = (message.message_id, message.stream_id, message.crossed_at)
        what = (message.line, message.direction, message.label, message.track_id)
        yield CROSSING, (*crossed, *what)


async def load(url: str, database: str, group: str = "postgres", follow: bool = True) -> None:
    """A message is committed before the next is asked for, which acknowledges it."""
    async with (
        await psycopg.AsyncConnection.connect(database) as connection,
        consume(url, group, follow=follow) as messages,
    ):
        await connection.execute(TABLES)
        async for message in messages:
            for statement, values in rows(message):
                await connection.execute(statement, values)
            await connection.commit()


def main() -> int:
    """130 after Ctrl-C, 3 when messages cannot be read or the database does not take them."""
    parser = argparse.ArgumentParser(description="Detections and crossings into PostgreSQL.")
    parser.add_argument("url")
    parser.add_argument("database", help="a connection string of libpq")
    args = parser.parse_args()
    try:
        asyncio.run(load(args.url, args.database))
    except KeyboardInterrupt:
        return 130
    except (ConsumeError, psycopg.Error) as error:
        print(f"to_postgres: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
