"""Messages and spools of tests."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sinks.base import Outgoing
from sinks.spool.account import Account
from sinks.spool.settings import LEAST_BYTES, SpoolSettings
from sinks.spool.spool import Spool

SMALL = SpoolSettings(max_bytes=LEAST_BYTES)
LARGE = SpoolSettings(max_bytes=16 * LEAST_BYTES)


def messages(first: int, count: int, size_bytes: int = 1000) -> list[Outgoing]:
    """`count` messages of noise; the id of each is its place, from `first` on."""
    rng = random.Random(first)
    return [
        Outgoing("frame", f"camera {place % 3}", f"{place:032x}", rng.randbytes(size_bytes))
        for place in range(first, first + count)
    ]


@contextmanager
def opened(folder: Path, settings: SpoolSettings = LARGE) -> Iterator[Spool]:
    """A spool that is open, of a sink called `kafka`."""
    spool = Spool(folder, settings, "kafka")
    spool.open()
    try:
        yield spool
    finally:
        spool.close()


def read_all(spool: Spool, after: int = 0, limit: int = 64) -> list[Outgoing]:
    """Everything behind `after`."""
    found: list[Outgoing] = []
    while batch := spool.read(after, limit):
        found += batch
        after = batch[-1].number
    return found


def bodies(found: Sequence[Outgoing]) -> list[bytes]:
    return [message.body for message in found]


def check_identity(account: Account) -> None:
    """`produced = acknowledged + spooled + dead_lettered + dropped`, and no part is negative."""
    settled = account.acknowledged + account.dead_lettered + account.dropped.total()
    assert account.produced == settled + account.spooled
    assert min(account.spooled, account.acknowledged, *account.dropped.values(), 0) == 0
