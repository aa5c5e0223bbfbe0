"""The contract of a client library, so that one sink serves kafka-python and librdkafka."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from sinks.tls import Tls

Compression = Literal["none", "gzip", "lz4", "zstd"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

TroubleKind = Literal["away", "broken", "bad_message", "refused", "fenced"]
"""`away`: not now; the same client goes on trying. `broken`: this client is done, a new one may do
better. `bad_message`: this message, or one of its batch, is refused. `refused`: rights, password,
certificate, topic: nothing helps but the user. `fenced`: another producer took our transactional
id."""

FRAMING_BYTES = 4096
"""Key, headers and batch header of a message, at most."""


class Trouble(Exception):
    """A failure in words of the sink. Its text may have several lines; it holds no password."""

    def __init__(self, kind: TroubleKind, why: str) -> None:
        super().__init__(why)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Access:
    """The login of a client, and TLS. Without `username` there is none."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    mechanism: Mechanism = "SCRAM-SHA-512"
    tls: Tls | None = None

    @property
    def protocol(self) -> str:
        """Kafka's name for it, such as `SASL_SSL`."""
        plain = "PLAINTEXT" if self.tls is None else "SSL"
        return plain if self.username is None else f"SASL_{plain}"

    def hide(self, text: str) -> str:
        """The text without the password."""
        return text.replace(self.password, "***") if self.password else text


@dataclass(frozen=True, slots=True)
class Tuning:
    """`compression` is of whole batches. A batch leaves when it has `batch_bytes` or is `linger_ms`
    old. `max_message_bytes` bounds a body. As many as `most_pending` messages, of no more than
    `most_pending_bytes`, may be taken and not acknowledged. The broker undoes a transaction that is
    older than `transaction_timeout_s`."""

    compression: Compression = "none"
    linger_ms: int = 5
    batch_bytes: int = 262_144
    max_message_bytes: int = 1_000_000
    most_pending: int = 10_000
    most_pending_bytes: int = 64 * 2**20
    transaction_timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that a client is made with. `sink` is the name for errors."""

    sink: str
    servers: tuple[str, ...]
    client_id: str
    access: Access = Access()
    tuning: Tuning = Tuning()
    transactional_id: str | None = None


@dataclass(frozen=True, slots=True)
class Creation:
    """The settings of a missing topic that is made. None is the broker's default."""

    partitions: int | None = None
    replication_factor: int | None = None


@dataclass(frozen=True, slots=True)
class Topic:
    """The facts of a topic that the cluster tells. `max_message_bytes` None: it does not tell
    us."""

    exists: bool
    may_write: bool
    max_message_bytes: int | None = None


class Record:
    """A message on its way. `key` orders: same key, same partition."""

    __slots__ = ("delivery", "headers", "is_delivered", "key", "message_id", "topic", "value")

    def __init__(
        self,
        message_id: str,
        topic: str,
        key: bytes,
        value: bytes,
        headers: list[tuple[str, bytes]],
    ) -> None:
        self.message_id = message_id
        self.topic = topic
        self.key = key
        self.value = value
        self.headers = headers
        self.delivery: Any = None
        self.is_delivered = False


class Client(Protocol):
    """One producer, from start to end; after a `Trouble` other than `away` only `close` is called.

    One thread. Idempotent, `acks=all`, and no batch of a partition leaves before the one in front
    of it is acknowledged. So what a producer appends to a partition is always a prefix of what it
    was given, and sending again from the first that failed keeps the order of first arrivals.
    """

    @property
    def last_error(self) -> str | None:
        """The last error that the client met, on the way to whatever failed."""

    def forget_error(self) -> None:
        """Forget the last error, as all is well again."""

    def start(self, timeout_s: float, batch_bytes: int) -> None:
        """Connect. Raises `Trouble`."""

    def describe(self, topics: Sequence[str], timeout_s: float) -> Mapping[str, Topic]:
        """Look at topics without making them. Raises `Trouble`."""

    def create(self, topics: Sequence[str], how: Creation, timeout_s: float) -> None:
        """Make topics; one that is there meanwhile is fine. Raises `Trouble`."""

    def begin(self, topics: Sequence[str], timeout_s: float) -> None:
        """Get ready, after `start` and before the first `send`: know the topics' partitions and,
        with a transactional id, shut out an earlier producer and undo what it left open."""

    def open_transaction(self) -> None:
        """Open a transaction, before its first `send`."""

    def commit(self, timeout_s: float) -> None:
        """End the transaction: all or nothing. Raises `Trouble`; after `away`, call it again."""

    def send(self, record: Record) -> None:
        """Take a record and set its `delivery`. Raises `Trouble`: it was not taken."""

    def is_done(self, record: Record) -> bool:
        """True if the broker has answered for a record that was sent."""

    def trouble_of(self, record: Record) -> Trouble | None:
        """The trouble that the broker answered for a record that is done; None: it has it."""

    def wait(self, record: Record | None, timeout_s: float) -> None:
        """Return when the record is done, at the latest after the time; or earlier. Raises
        `Trouble` when no record will be done any more."""

    def close(self, grace_s: float) -> None:
        """Let go within about `grace_s`, undelivered or not. Idempotent."""
