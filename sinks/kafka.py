"""Apache Kafka: every message once, in order per stream, acknowledged by all replicas."""

import copy
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from kafka import KafkaProducer
from kafka.errors import (
    AuthorizationError,
    IllegalSaslStateError,
    InvalidTopicError,
    KafkaConfigurationError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)
from kafka.net.compat import KafkaNetClient

from pipeline.core.errors import Backpressure, Rejected, SinkUnavailable
from pipeline.core.log import get_logger, redact
from pipeline.core.messages import SCHEMA
from sinks.base import Outgoing

_log = get_logger(__name__)
_client_numbers = itertools.count(1)

_FOR_EVER_MS = 2**31 - 1
_BOOKKEEPING_BYTES = 4096  # key, headers and batch framing, at most
_BAD_MESSAGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_REFUSED = (
    AuthorizationError,
    IllegalSaslStateError,
    InvalidTopicError,
    KafkaConfigurationError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)


class KafkaSink:
    """A `Sink` over kafka-python's idempotent producer, `acks=all`, keyed by stream id.

    Record headers: `schema`, `content-type`, `kind`, `message-id`.

    `write` buffers, up to `most_pending` messages, beyond which it raises `Backpressure`. While the
    broker is away the buffer stays, and the client sends it, in order and once, as soon as the
    broker is back. Only when the broker refuses the producer itself (rights withdrawn, its state
    lost) the sink starts a new producer and sends again what was not acknowledged: then a message
    may arrive twice, or behind a later one of its stream; consumers have `message_id` and (`epoch`,
    `seq`) for that.

    A message over `max_message_bytes` raises `Rejected` in `write`. One that only the broker finds
    too large is dropped, counted in `rejected_total`, and named by a `Rejected` of the next
    `flush`, which has delivered the rest.
    """

    def __init__(
        self,
        bootstrap_servers: Sequence[str],
        topic: str,
        name: str = "kafka",
        connect_timeout_s: float = 5.0,
        username: str | None = None,
        password: str | None = None,
        sasl_mechanism: str = "SCRAM-SHA-512",
        tls: bool = False,
        ca_file: str | None = None,
        compression: str | None = None,
        linger_ms: int = 5,
        most_pending: int = 10_000,
        max_message_bytes: int = 1_000_000,
    ) -> None:
        self.name = name
        self.delivered_total = 0
        self.rejected_total = 0
        self._topic = topic
        self._servers = list(bootstrap_servers)
        self._connect_timeout_s = connect_timeout_s
        self._most_pending = most_pending
        self._max_message_bytes = max_message_bytes
        self._options: dict[str, Any] = {
            **_security(username, password, sasl_mechanism, tls, ca_file),
            "compression_type": compression,
            "linger_ms": linger_ms,
            "max_request_size": max_message_bytes + _BOOKKEEPING_BYTES,
        }
        self._client_id = f"eyrie-{next(_client_numbers)}"
        self._heard = _ClientLog(self._client_id)
        self._is_open = False
        self._producer: Any = None
        self._waiting: deque[Outgoing] = deque()
        self._sent: deque[tuple[Outgoing, Any]] = deque()
        self._failures: list[str] = []
        self._suspects: set[str] = set()
        self._refused: list[tuple[Outgoing, BaseException]] = []

    @property
    def pending(self) -> int:
        """Messages taken and neither acknowledged nor rejected yet."""
        return len(self._waiting) + len(self._sent)

    def open(self) -> None:
        """See `Sink.open`: a broker answers, and the topic is there or the broker creates it."""
        if not self._is_open:
            self._connect(self._connect_timeout_s)
            self._is_open = True

    def write(self, messages: Sequence[Outgoing]) -> None:
        if not self._is_open:
            raise SinkUnavailable(self.name, f"{self._where} is not open")
        for message in messages:
            if len(message.body) > self._max_message_bytes:
                raise Rejected(self.name, self._too_large(message))
        self._settle()
        if self.pending and self.pending + len(messages) > self._most_pending:
            raise Backpressure(self.name, f"{self.pending} messages wait for {self._where}", 0.1)
        self._waiting.extend(messages)
        with suppress(KafkaError):  # It stays in `_waiting`, and `flush` tells.
            self._send_waiting()

    def flush(self, timeout_s: float) -> None:
        """See `Sink.flush`. Raises `Rejected` too, see the class."""
        deadline_s = time.monotonic() + timeout_s
        self._settle()
        while self.pending:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise SinkUnavailable(self.name, self._undelivered(timeout_s))
            if self._producer is None:
                self._connect(min(left_s, self._connect_timeout_s))
            with suppress(KafkaError):  # The future keeps it, `_settle` reads it.
                self._send_waiting()
                self._sent[0][1].get(timeout=left_s)
            self._settle()
        if self._refused:
            count = len(self._refused)
            raise Rejected(self.name, self._refusals(), count)

    def close(self) -> None:
        """See `Sink.close`. Returns within two seconds also when the broker is dead; `pending` says
        how many messages were never acknowledged."""
        self._is_open = False
        self._settle()
        self._abandon(grace_s=1.0)
        self._heard.detach()

    @property
    def _where(self) -> str:
        return ",".join(self._servers)

    def _connect(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        with self._told(), self._heard.opening():
            self._failures.clear()
            self._producer = self._new_producer(timeout_s)
            try:
                self._find_topic(max(deadline_s - time.monotonic(), 0.1))
            except (KafkaError, Rejected):
                self._abandon(grace_s=0)
                raise

    def _find_topic(self, timeout_s: float) -> None:
        self._heard.error = None
        self._producer.config["max_block_ms"] = int(timeout_s * 1000)
        try:
            self._producer.partitions_for(self._topic)
        except KafkaTimeoutError as error:
            if self._heard.error is None:
                why = f"topic {self._topic!r} does not exist and the broker does not create it"
                advice = "create it, or correct the name"
                raise Rejected(self.name, f"{self._where}: {why}: {advice}") from error
            raise
        self._producer.config["max_block_ms"] = 500

    def _new_producer(self, timeout_s: float) -> Any:
        clients: list[KafkaNetClient] = []

        def client(**config: Any) -> KafkaNetClient:
            clients.append(KafkaNetClient(**config))
            return clients[0]

        try:
            return _Producer(
                bootstrap_servers=self._servers,
                client_id=self._client_id,
                bootstrap_timeout_ms=int(timeout_s * 1000),
                max_block_ms=int(timeout_s * 1000),
                kafka_client=client,
                acks="all",
                enable_idempotence=True,
                delivery_timeout_ms=_FOR_EVER_MS,
                reconnect_backoff_max_ms=1000,
                **self._options,
            )
        except BaseException:
            # kafka-python leaves its sockets open when it cannot start.
            for opened in clients:
                opened.close()
            raise

    def _send_waiting(self) -> None:
        while self._waiting and self._producer is not None:
            message = self._waiting[0]
            if self._sent and not self._suspects.isdisjoint(
                (message.message_id, self._sent[-1][0].message_id)
            ):
                return
            future = self._producer.send(
                self._topic,
                key=message.key.encode(),
                value=message.body,
                headers=[
                    ("schema", SCHEMA.encode()),
                    ("content-type", b"application/json"),
                    ("kind", message.kind.encode()),
                    ("message-id", message.message_id.encode()),
                ],
            )
            self._sent.append((self._waiting.popleft(), future))
            future.add_errback(partial(self._note_failure, message.message_id))

    def _note_failure(self, message_id: str, _error: BaseException) -> None:
        self._failures.append(message_id)

    def _settle(self) -> None:
        """Account for what the broker has answered."""
        while self._sent and self._sent[0][1].is_done:
            message, future = self._sent[0]
            if future.exception is not None:
                if isinstance(future.exception, _BAD_MESSAGE):
                    self._suspect(message, future.exception)
                self._start_over(future.exception)
                return
            self._sent.popleft()
            self.delivered_total += 1
            self._heard.error = None

    def _suspect(self, message: Outgoing, error: BaseException) -> None:
        """Find the message that is bad.

        kafka-python fails all that is on its way with the error of the one. The first to fail is
        the suspect. It is sent again alone; when that fails too, it is the one.
        """
        if message.message_id in self._suspects:
            self._sent.popleft()
            self._suspects.discard(message.message_id)
            self._refused.append((message, error))
            self.rejected_total += 1
        elif self._failures:
            self._suspects.add(self._failures[0])

    def _start_over(self, error: BaseException) -> None:
        """Give up the producer; what it did not deliver waits again, in order."""
        _log.warning("sink %r: new Kafka producer, the last one failed: %s", self.name, error)
        self._abandon(grace_s=0)
        undone = [message for message, future in self._sent if not future.succeeded()]
        self.delivered_total += len(self._sent) - len(undone)
        self._sent.clear()
        self._waiting.extendleft(reversed(undone))
        self._heard.error = error

    def _abandon(self, grace_s: float) -> None:
        if self._producer is not None:
            self._producer.close(timeout=grace_s)
            self._producer = None

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what kafka-python raises into what a sink raises."""
        try:
            yield
        except (KafkaError, ValueError, OSError) as error:
            # A timeout says less than what the client met on the way to it.
            met = self._heard.error if isinstance(error, KafkaTimeoutError) else None
            cause = met or error
            kind = Rejected if isinstance(cause, (*_REFUSED, ValueError)) else SinkUnavailable
            raise kind(self.name, _line(f"{self._where}: {cause}")) from error

    def _undelivered(self, timeout_s: float) -> str:
        text = f"{self._where}: {self.pending} messages not acknowledged after {timeout_s:g} s"
        return _line(f"{text}: {self._heard.error}" if self._heard.error else text)

    def _refusals(self) -> str:
        refused, self._refused = self._refused, []
        ids = ", ".join(message.message_id for message, _ in refused[:5])
        more = f" and {len(refused) - 5} more" if len(refused) > 5 else ""
        return _line(f"{self._where}: refused message {ids}{more}: {refused[0][1]}")

    def _too_large(self, message: Outgoing) -> str:
        return (
            f"message {message.message_id} of stream {message.key!r}: {len(message.body)} bytes "
            f"are more than max_message_bytes {self._max_message_bytes}"
        )


class _Producer(KafkaProducer):  # type: ignore[misc]
    """A producer whose `close` does not flush: kafka-python's raises when the broker is dead, and
    leaves its thread running."""

    def flush(self, timeout: float | None = None) -> None:
        """Nothing: the sink waits for its futures itself."""


class _ClientLog(logging.Handler):
    """Keeps the last error that the client met, for it says why, and passes its lines on as debug.

    kafka-python logs loudly what the sink tells in its own errors, so its lines go nowhere else.
    Lines belong to the sink whose producer's thread, or whose `open`, wrote them.
    """

    def __init__(self, client_id: str) -> None:
        super().__init__(logging.INFO)
        self.error: BaseException | None = None
        self._thread_name = f"{client_id}-network-thread"
        self._opening: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if record.threadName != self._thread_name and record.thread != self._opening:
            return
        _log.debug("client: %s", redact(record.getMessage()))
        args = record.args if isinstance(record.args, tuple) else ()
        for met in args:
            if isinstance(met, Exception) and not isinstance(met, KafkaTimeoutError):
                # A copy has no traceback, whose frames would keep dead sockets.
                self.error = copy.copy(met)

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Until `detach`, hear the producer; within the block, hear this thread too."""
        logger = logging.getLogger("kafka")
        logger.addHandler(self)
        logger.propagate = False
        self._opening = threading.get_ident()
        try:
            yield
        finally:
            self._opening = None

    def detach(self) -> None:
        logging.getLogger("kafka").removeHandler(self)


def _security(
    username: str | None, password: str | None, mechanism: str, tls: bool, ca_file: str | None
) -> dict[str, Any]:
    """kafka-python's words for how to log in and whether to encrypt."""
    options: dict[str, Any] = {"ssl_cafile": ca_file}
    if username is not None:
        options |= {
            "sasl_mechanism": mechanism,
            "sasl_plain_username": username,
            "sasl_plain_password": password,
        }
    protocol = "PLAINTEXT" if username is None else "SASL_PLAINTEXT"
    options["security_protocol"] = protocol.replace("PLAINTEXT", "SSL") if tls else protocol
    return options


def _line(text: str) -> str:
    return redact(" ".join(text.split()))[:400]
