"""Topics at the start: are they there, may we write, and how large may a message be?"""

import time
from collections.abc import Mapping, Sequence

from sinks.kafka.client import Client, Creation, Topic, Trouble

_PAUSE_S = 0.1


def ready_topics(
    client: Client, topics: Sequence[str], create: Creation | None, deadline_s: float
) -> int | None:
    """Look at the topics, and with `create` make those that are missing.

    Returns the smallest of their `max.message.bytes`, or None where the cluster tells none. Blocks
    until `deadline_s` (monotonic) at the latest. Raises `Trouble`: `refused` for a topic that is
    missing or that we may not write to.
    """
    found = client.describe(topics, _left_s(deadline_s))
    missing = _missing(topics, found)
    if missing and create is not None:
        client.create(missing, create, _left_s(deadline_s))
        found = _wait_until_known(client, topics, deadline_s)
    elif missing:
        names = ", ".join(map(repr, missing))
        advice = "create it, correct the name, or let the sink do it: `create: true`"
        raise Trouble("refused", f"topic {names} does not exist: {advice}")
    for name in topics:
        if not found[name].may_write:
            raise Trouble("refused", f"topic {name!r}: this user has no right to write to it")
    limits = [topic.max_message_bytes for topic in found.values() if topic.max_message_bytes]
    return min(limits, default=None)


def lost_topics(client: Client, topics: Sequence[str], timeout_s: float) -> str | None:
    """Look for topics that were there at the start -> which are gone, and what helps; or None.
    Blocks for about `timeout_s`. Raises `Trouble`."""
    missing = _missing(topics, client.describe(topics, timeout_s))
    if not missing:
        return None
    names = ", ".join(map(repr, missing))
    return f"topic {names} does not exist any more: create it again; until then, messages wait"


def _wait_until_known(
    client: Client, topics: Sequence[str], deadline_s: float
) -> Mapping[str, Topic]:
    """A new topic takes a moment to reach all brokers."""
    while True:
        found = client.describe(topics, _left_s(deadline_s))
        missing = _missing(topics, found)
        if not missing:
            return found
        if time.monotonic() > deadline_s:
            raise Trouble("away", f"topic {missing[0]!r} was created and is not there yet")
        time.sleep(_PAUSE_S)


def _missing(topics: Sequence[str], found: Mapping[str, Topic]) -> list[str]:
    return [name for name in topics if name not in found or not found[name].exists]


def _left_s(deadline_s: float) -> float:
    return max(deadline_s - time.monotonic(), 0.1)
