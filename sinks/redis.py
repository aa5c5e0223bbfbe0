"""Redis: entries of a stream, or publish/subscribe."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    DataError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.retry import Retry

from pipeline.core.errors import Rejected, SinkError, SinkUnavailable
from sinks.base import Outgoing

_DENIED = (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    NoPermissionError,
)
# What an operator, a failover or a consumer that catches up can mend.
_PASSING = (
    BusyLoadingError,
    ClusterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    TryAgainError,
)
_PASSING_CODES = ("MISCONF", "NOREPLICAS", "BUSY ", "UNKILLABLE")


class RedisSink:
    """A `Sink` that writes to Redis and returns when Redis has answered, so `flush` never waits.

    - `url`: `redis://[user@]host:port/db`, or `rediss://` for TLS; else `ValueError`.
    - `stream`: the key (with `mode="pubsub"` the channel); may hold `{stream_id}` and `{kind}`.
    - `mode="stream"`: XADD with the fields `body`, `kind`, `stream_id` and `message_id`, entry ids
      by Redis; `maxlen` keeps about that many newest entries (whole nodes are trimmed).
      `mode="pubsub"`: PUBLISH of the body; whoever does not listen at that moment misses it.
    - `connect_timeout_s` bounds the connect and the wait for each answer.

    A write is one MULTI/EXEC: Redis takes all of it or none. What is left to `message_id`: when the
    connection breaks after EXEC was sent, nobody knows whether Redis ran it; the write raises
    `SinkUnavailable`, its repetition may put the same messages in twice, and consumers drop the
    second by `message_id`.
    """

    def __init__(
        self,
        url: str,
        stream: str = "eyrie:detections",
        mode: Literal["stream", "pubsub"] = "stream",
        maxlen: int | None = None,
        password: str | None = None,
        name: str = "redis",
        connect_timeout_s: float = 5.0,
    ) -> None:
        self.name = name
        self.delivered_total = 0
        self._stream, self._mode, self._maxlen = stream, mode, maxlen
        secret = {} if password is None else {"password": password}
        self._pool = redis.ConnectionPool.from_url(
            url,
            socket_connect_timeout=connect_timeout_s,
            socket_timeout=connect_timeout_s,
            retry=Retry(NoBackoff(), 0),
            **secret,
        )
        self._where = _address(self._pool.connection_kwargs)
        self._client: redis.Redis | None = None
        self._known_streams: set[str] = set()

    def open(self) -> None:
        """See `Sink.open`: one PING, with the user's rights."""
        client = redis.Redis(connection_pool=self._pool)
        with self._told():
            client.ping()
        self._client = client

    def write(self, messages: Sequence[Outgoing]) -> None:
        """See `Sink.write`. Blocks until Redis has answered."""
        client = self._client
        if client is None:
            raise SinkUnavailable(self.name, f"{self._where} is not open")
        if not messages:
            return
        with self._told(), client.pipeline(transaction=True) as pipeline:
            if self._mode == "stream":
                self._check_streams(client, messages)
            add = self._xadd if self._mode == "stream" else self._publish
            for message in messages:
                add(pipeline, message)
            pipeline.execute()
        self.delivered_total += len(messages)

    def flush(self, timeout_s: float) -> None:
        """See `Sink.flush`: `write` has waited already."""

    def close(self) -> None:
        self._client = None
        self._known_streams.clear()
        self._pool.disconnect()

    def _key(self, message: Outgoing) -> str:
        return self._stream.replace("{kind}", message.kind).replace("{stream_id}", message.key)

    def _xadd(self, pipeline: "redis.client.Pipeline", message: Outgoing) -> None:
        pipeline.xadd(
            self._key(message),
            {
                "body": message.body,
                "kind": message.kind,
                "stream_id": message.key,
                "message_id": message.message_id,
            },
            maxlen=self._maxlen,
            approximate=True,
        )

    def _publish(self, pipeline: "redis.client.Pipeline", message: Outgoing) -> None:
        pipeline.publish(self._key(message), message.body)

    def _check_streams(self, client: redis.Redis, messages: Sequence[Outgoing]) -> None:
        # EXEC runs the other commands when one meets a key of another type: find it before.
        for key in sorted({self._key(message) for message in messages} - self._known_streams):
            kind = client.type(key)
            if kind not in (b"stream", b"none"):
                raise Rejected(self.name, f"{self._where}: key {key!r} holds no stream, rename it")
            self._known_streams.add(key)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what redis-py raises into what a sink raises."""
        try:
            yield
        except (RedisError, OSError) as error:
            raise self._sink_error(error) from error

    def _sink_error(self, error: Exception) -> SinkError:
        # redis-py puts the whole command, body included, before the reason.
        why = " ".join(str(error).rsplit("caused error: ", maxsplit=1)[-1].split())[:200]
        if isinstance(error, _DENIED):
            kind: Callable[[str, str], SinkError] = Rejected
        elif isinstance(error, _PASSING) or why.startswith(_PASSING_CODES):
            kind = SinkUnavailable
        elif isinstance(error, ResponseError | DataError):
            # NOAUTH reaches pipelines as a plain response.
            kind = Rejected
        else:
            kind = SinkUnavailable
        return kind(self.name, f"{self._where}: {why or type(error).__name__}")


def _address(connection: dict[str, object]) -> str:
    """`host:port` or the socket path: what may be shown of the address."""
    if "path" in connection:
        return str(connection["path"])
    return f"{connection.get('host', 'localhost')}:{connection.get('port', 6379)}"
