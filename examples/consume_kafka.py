"""Read a topic, check every message, remove duplicates, and prove that nothing is missing.

    python -m examples.consume_kafka localhost:9092 detections

Ends when nothing has come for `--idle-s`, prints the account, and exits with 1 if a frame is
missing, 3 if the broker is away. Reads from the oldest message that the topic still holds.
"""

import argparse
import sys
from collections.abc import Iterator

from kafka import KafkaConsumer
from kafka.errors import KafkaError

from examples.completeness import Inventory
from pipeline.core.messages import LineCrossMessage, read


def bodies(servers: str, topic: str, idle_s: float) -> Iterator[bytes]:
    """The values of a topic; of one key, which is the stream id, in the order of writing."""
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=servers.split(","),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        consumer_timeout_ms=round(idle_s * 1000),
    )
    try:
        for record in consumer:
            yield record.value
    finally:
        consumer.close()


def main() -> int:
    """Read to the end: 1 if a frame is missing, 3 if that was not possible, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("servers", help="HOST:PORT, several by commas")
    parser.add_argument("topic")
    parser.add_argument("--idle-s", type=float, default=10.0)
    args = parser.parse_args()
    inventory = Inventory()
    try:
        for body in bodies(args.servers, args.topic, args.idle_s):
            message = read(body)
            if inventory.take(message) and isinstance(message, LineCrossMessage):
                told = message.line, message.direction, message.label, message.counts
                print(message.stream_id, *told)
    except KafkaError as error:
        print(f"consume_kafka: {args.servers}: {error}", file=sys.stderr)
        return 3
    print(*inventory.lines(), sep="\n")
    return int(any(ledger.missing for ledger in inventory.ledgers.values()))


if __name__ == "__main__":
    sys.exit(main())
