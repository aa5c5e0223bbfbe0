"""Reading Redis streams, with a consumer group or without one."""

import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from redis.exceptions import ResponseError

from pipeline.core.errors import Rejected
from pipeline.core.log import get_logger
from sinks.consume.address import StreamAddress
from sinks.consume.base import ConsumeError, ConsumeUnavailable, Reading, Record
from sinks.redis.client import Connected, Login, connect
from sinks.redis.errors import FAILURES, reason, told
from sinks.tls import Tls

log = get_logger(__name__)

_GONE = "UNBLOCKED"
"""A stream was deleted while it was waited for."""
_MOST_ENTRIES = 500
_RECLAIM_AFTER_MS = 60_000
_CLAIM_EVERY_S = 5.0
_BEFORE_ALL = "0-0"


class RedisReader:
    """A `Reader` over redis-py: XREADGROUP with a group, else XREAD.

    A member of a group first gets what it was given before and did not acknowledge, under the same
    `consumer` name (default: the host's), then what other members have left for a minute, then what
    is new. A group shares out entries, not streams: with several members, each sees gaps.
    """

    def __init__(self, address: StreamAddress, reading: Reading) -> None:
        self.where = f"redis {address.redis} {','.join(address.streams)}"
        self._address, self._reading = address, reading
        self._name = reading.consumer or socket.gethostname()
        self._connected: Connected | None = None
        self._client: Any = None
        self._claim_s = 0.0
        self._after: dict[str, str] = {}
        """Id of the last entry read, by stream; in a group, while its own pending ones are read."""
        self._ends: dict[str, str] = {}

    def open(self) -> None:
        """See `Reader.open`. Raises `ConsumeError` for a key that is no stream or is not there."""
        with self._told():
            self._client = self._connect()
            for stream in self._address.streams:
                self._ends[stream] = self._last_id(stream)
                if self._reading.group is None:
                    self._after.setdefault(stream, self._first(stream))
                else:
                    self._make_group(stream)
                    self._after[stream] = _BEFORE_ALL

    def read(self, within_s: float) -> list[Record]:
        block_ms = max(1, int(within_s * 1000))
        with self._told():
            if self._reading.group is None:
                return self._read_plain(block_ms)
            return self._pending() or self._abandoned() or self._new(block_ms)

    @property
    def exhausted(self) -> bool:
        """See `Reader.exhausted`."""
        return not self._ends

    def acknowledge(self, records: Iterable[Record]) -> None:
        if self._reading.group is None:
            return
        ids: dict[str, list[str]] = {}
        for record in records:
            ids.setdefault(record.source, []).append(str(record.offset))
        with self._told():
            for stream, done in ids.items():
                self._opened().xack(stream, self._reading.group, *done)

    def close(self) -> None:
        connected, self._connected, self._client = self._connected, None, None
        if connected is not None:
            connected.close()

    def _connect(self) -> Any:
        tls = None if self._address.ca is None else Tls(ca=Path(self._address.ca))
        self._connected = connect(
            self._address.redis,
            Login(password=self._reading.password),
            tls,
            self._reading.timeout_s,
        )
        self._connected.client.ping()
        return self._connected.client

    def _opened(self) -> Any:
        if self._client is None:
            raise ConsumeUnavailable(self.where, "is not open")
        return self._client

    def _last_id(self, stream: str) -> str:
        kind = self._client.type(stream)
        if kind == b"stream":
            return str(self._client.xinfo_stream(stream)["last-generated-id"].decode())
        if kind == b"none" and self._reading.follow:
            log.warning("%s: there is no stream %r yet, waiting for it", self.where, stream)
            return _BEFORE_ALL
        why = "is not there" if kind == b"none" else "holds no stream"
        raise ConsumeError(self.where, f"key {stream!r} {why}; correct the name")

    def _first(self, stream: str) -> str:
        """The id behind which reading begins."""
        begin = self._reading.begin
        if isinstance(begin, datetime):
            return f"{max(0, int(begin.timestamp() * 1000) - 1)}-{2**64 - 1}"
        return _BEFORE_ALL if begin == "oldest" else self._ends[stream]

    def _make_group(self, stream: str) -> None:
        try:
            self._client.xgroup_create(
                stream, self._reading.group, self._first(stream), mkstream=True
            )
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):  # it is there already
                raise

    def _read_plain(self, block_ms: int) -> list[Record]:
        more = {} if self._ends and not self._reading.follow else {"block": block_ms}
        answer = self._opened().xread(self._after, count=_MOST_ENTRIES, **more)
        records = _records(answer)
        for record in records:
            self._after[record.source] = str(record.offset)
        silent = set(self._ends) - {record.source for record in records}
        for stream in list(self._ends):
            reached = _number(self._after[stream]) >= _number(self._ends[stream])
            if reached or (stream in silent and not records):
                del self._ends[stream]
        return records

    def _pending(self) -> list[Record]:
        """What this member was given before, and has not acknowledged."""
        if not self._after:
            return []
        answer = self._group_read(self._after, None)
        records = _records(answer)
        self._after = {record.source: str(record.offset) for record in records}
        return records

    def _abandoned(self) -> list[Record]:
        """What other members were given and have left; asked for now and then."""
        if time.monotonic() < self._claim_s:
            return []
        self._claim_s = time.monotonic() + _CLAIM_EVERY_S
        records: list[Record] = []
        for stream in self._address.streams:
            answer = self._opened().xautoclaim(
                stream, self._reading.group, self._name, _RECLAIM_AFTER_MS, count=_MOST_ENTRIES
            )
            records += _records([(stream.encode(), answer[1])])
        return records

    def _new(self, block_ms: int) -> list[Record]:
        streams = dict.fromkeys(self._address.streams, ">")
        records = _records(self._group_read(streams, block_ms))
        if not records:
            self._ends.clear()
        for record in records:
            end = self._ends.get(record.source)
            if end is not None and _number(str(record.offset)) >= _number(end):
                del self._ends[record.source]
        return records

    def _group_read(self, streams: dict[str, str], block_ms: int | None) -> Any:
        return self._opened().xreadgroup(
            self._reading.group, self._name, streams, count=_MOST_ENTRIES, block=block_ms
        )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what redis-py raises into what a reader raises."""
        try:
            yield
        except (*FAILURES, ValueError) as error:
            why = reason(error)
            refused = isinstance(error, ValueError) or (
                isinstance(told("redis", self.where, error), Rejected) and not why.startswith(_GONE)
            )
            raise (ConsumeError if refused else ConsumeUnavailable)(self.where, why) from error


def _records(answer: Any) -> list[Record]:
    """Entries without a body, such as those deleted since, are records with none."""
    return [
        Record((fields or {}).get(b"body", b""), stream.decode(), entry_id.decode())
        for stream, entries in answer or ()
        for entry_id, fields in entries
        if entry_id is not None
    ]


def _number(entry_id: str) -> tuple[int, int]:
    high, _, low = entry_id.partition("-")
    return int(high), int(low or 0)
