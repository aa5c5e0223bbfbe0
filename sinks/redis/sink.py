"""Redis: entries of a stream, or publish/subscribe."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any, Literal

import redis
from redis.exceptions import ResponseError

from pipeline.core.clock import Clock, SystemClock, utc_datetime
from pipeline.core.errors import Rejected, SinkUnavailable
from pipeline.core.log import get_logger
from sinks.base import Outgoing
from sinks.redis.address import RedisAddress
from sinks.redis.append import APPEND, Trim, arguments, writers_key
from sinks.redis.client import Connected, Login, connect
from sinks.redis.errors import FAILURES, reason, told
from sinks.redis.state import last_states
from sinks.tls import Tls

log = get_logger(__name__)

_LARGEST_BYTES = 512 << 20
_LARGEST = "proto-max-bulk-len"


class RedisSink:
    """A `Sink` that writes to Redis and returns when Redis has answered, so `flush` never waits.

    - `url`: as `RedisAddress.parse` reads it: a server, Sentinels, or a cluster; else `ValueError`.
    - `stream`: the key (with `mode="pubsub"` the channel); may hold `{stream_id}` and `{kind}`.
    - `mode="stream"`: entries with the fields `body`, `kind`, `stream_id` and `message_id`, trimmed
      as `trim` says; all are kept without it. `mode="pubsub"`: PUBLISH of the body; whoever does
      not listen at that moment misses it.
    - `state`: key of a hash for each stream with its last state, see `sinks.redis.state`; holds
      `{stream_id}`. Written in the same pipeline. None: no such hash.
    - `wait_replicas`: a write has failed unless so many replicas have it too (WAIT); not in a
      cluster.
    - `timeout_s` bounds the connect and the wait for each answer.

    **Repeating a write adds nothing**, if its messages come from a spool. Redis runs one script for
    each key; it remembers, in the hash `eyrie:writers:{KEY}`, up to which number each run has
    written, and passes over what is not above it. That and the entries change together or not at
    all, survive together, and do not depend on what was trimmed. So it holds when the answer was
    lost, when this process was killed, when a frozen server runs an old write late, when a spool
    was copied or put back to an earlier state, and with any number of writers on one key. A run
    that has written nothing for 30 days may be forgotten. The id of an entry is
    `<milliseconds>-<number>`: Redis' clock, or one more than the newest entry's where that is not
    behind it, and the message's number in its spool. So ids ascend, and those of one spool in its
    order.

    What does not hold:

    - Without a spool (`number` 0) ids are Redis' own; a write that is repeated because its answer
      was lost puts its messages in twice, and consumers drop the second by `message_id`.
    - All or nothing is promised for each key, not for a write over several keys.
    - Redis replicates later than it answers: a failover may lose what it had confirmed, unless
      `wait_replicas` says otherwise; a power cut may, unless it runs with `appendfsync always`.
      Entries and the hash of writers are lost together: nothing is taken for written that is not.
    - Trimming takes entries whether or not they were read.
    """

    def __init__(
        self,
        url: str,
        stream: str = "eyrie:detections",
        mode: Literal["stream", "pubsub"] = "stream",
        trim: Trim | None = None,
        *,
        state: str | None = None,
        wait_replicas: int = 0,
        login: Login | None = None,
        tls: Tls | None = None,
        name: str = "redis",
        timeout_s: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self._clock = clock or SystemClock()
        self.delivered_total = 0
        self._stream, self._mode, self._trim = stream, mode, trim or Trim()
        self._state, self._wait_replicas = state, wait_replicas
        self._address, self._login, self._tls = RedisAddress.parse(url), login or Login(), tls
        self._timeout_s = timeout_s
        self._connected: Connected | None = None
        self._known_streams: set[str] = set()
        self._told_state = False
        self._largest_bytes = _LARGEST_BYTES

    def open(self) -> None:
        """Connect, see `Sink.open`: a PING with the user's rights, and the type of a key that is
        known."""
        self.close()
        if self._tls is not None:
            self._tls.context(self.name)
        with self._telling():
            connected = connect(self._address, self._login, self._tls, self._timeout_s)
            self._connected = connected
            connected.publisher().ping()
            self._largest_bytes = _largest_bytes(connected.publisher())
            if self._mode == "stream" and "{" not in self._stream:
                self._check_streams(connected, [self._stream])

    def write(self, messages: Sequence[Outgoing]) -> None:
        """Append messages, see `Sink.write`. Blocks until Redis has answered."""
        connected = self._connected
        if connected is None:
            raise SinkUnavailable(self.name, f"{self._address} is not open")
        if not messages:
            return
        self._check_sizes(messages)
        with self._telling():
            if self._mode == "stream":
                for _, those in groupby(messages, key=lambda message: message.spool):
                    self._append(connected, list(those))
            else:
                self._publish(connected, messages)
        self.delivered_total += len(messages)

    def flush(self, timeout_s: float) -> None:
        """Return at once, as `write` has waited already; see `Sink.flush`."""

    def close(self) -> None:
        """See `Sink.close`."""
        connected, self._connected = self._connected, None
        self._known_streams.clear()
        if connected is not None:
            connected.close()

    def _key(self, message: Outgoing) -> str:
        return self._stream.replace("{kind}", message.kind).replace("{stream_id}", message.key)

    def _append(self, connected: Connected, messages: Sequence[Outgoing]) -> None:
        by_key: dict[str, list[Outgoing]] = {}
        for message in messages:
            by_key.setdefault(self._key(message), []).append(message)
        self._check_streams(connected, by_key)
        with connected.client.pipeline(transaction=False) as pipeline:
            run: Any = pipeline.execute_command  # a cluster's pipeline has no `eval`
            for key, found in by_key.items():
                run("EVAL", APPEND, 2, key, writers_key(key), *arguments(found, self._trim))
            states = self._states(messages)
            for key, fields in states.items():
                pipeline.hset(key, mapping=fields)
            if self._wait_replicas:
                pipeline.wait(self._wait_replicas, round(self._timeout_s * 500))
            answers = pipeline.execute(raise_on_error=False)
        self._check_appended(by_key, answers)
        self._check_states(answers[len(by_key) : len(by_key) + len(states)])
        if self._wait_replicas and _count(answers[-1]) < self._wait_replicas:
            why = f"{answers[-1]} replicas have the write, not {self._wait_replicas}"
            raise SinkUnavailable(self.name, f"{self._address}: {why}")

    def _states(self, messages: Sequence[Outgoing]) -> dict[str, Mapping[Any, Any]]:
        if self._state is None:
            return {}
        template = self._state
        found = last_states(messages, utc_datetime(self._clock.utc_ns()))
        return {template.replace("{stream_id}", each): fields for each, fields in found.items()}

    def _check_appended(self, keys: Iterable[str], answers: Sequence[object]) -> None:
        for key, answer in zip(keys, answers, strict=False):
            if isinstance(answer, Exception):
                raise told(self.name, f"{self._address}: key {key!r}", answer) from answer

    def _check_states(self, answers: Sequence[object]) -> None:
        """A state that cannot be written loses no message: it is said once."""
        errors = [answer for answer in answers if isinstance(answer, Exception)]
        if errors and not self._told_state:
            self._told_state = True
            why = f"the last state of streams is not written: {reason(errors[0])}"
            log.error("sink %r: %s: %s", self.name, self._address, why)

    def _publish(self, connected: Connected, messages: Sequence[Outgoing]) -> None:
        with connected.publisher().pipeline(transaction=False) as pipeline:
            for message in messages:
                pipeline.publish(self._key(message), message.body)
            pipeline.execute()

    def _check_streams(self, connected: Connected, keys: Iterable[str]) -> None:
        """A key of another type is found before anything is written to the others."""
        for key in sorted(set(keys) - self._known_streams):
            if connected.client.type(key) not in (b"stream", b"none"):
                why = f"{self._address}: key {key!r} holds no stream, rename it"
                raise Rejected(self.name, why)
            self._known_streams.add(key)

    def _check_sizes(self, messages: Sequence[Outgoing]) -> None:
        most = self._largest_bytes
        too_large = [each.message_id for each in messages if len(each.body) > most]
        if too_large:
            why = f"{self._address}: too large, Redis takes {most} bytes (proto-max-bulk-len)"
            raise Rejected(self.name, why, message_ids=too_large)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn what redis-py raises into what a sink raises."""
        try:
            yield
        except FAILURES as error:
            raise told(self.name, str(self._address), error) from error


def _count(answer: object) -> int:
    if isinstance(answer, Exception):
        raise answer
    return int(str(answer))


def _largest_bytes(client: redis.Redis) -> int:
    """The most bytes of one value. Where the user may not ask for it, Redis' default."""
    try:
        found = client.config_get(_LARGEST)
    except ResponseError:
        return _LARGEST_BYTES
    assert isinstance(found, dict)
    return int(str(found.get(_LARGEST, _LARGEST_BYTES)))
