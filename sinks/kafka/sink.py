"""Apache Kafka: every message at least once, in order per stream, acknowledged by all replicas."""

import itertools
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import get_args

from pipeline.core.errors import Backpressure, Rejected, SinkGone, SinkUnavailable
from pipeline.core.messages import Kind
from sinks.base import Outgoing
from sinks.kafka.client import Access, Creation, Record, Settings, Tuning
from sinks.kafka.open_client import ClientName, client_maker
from sinks.kafka.producer import Producer
from sinks.kafka.record import Encoding, to_record
from sinks.kafka.wording import Wording

_client_numbers = itertools.count(1)


class KafkaSink:
    """A `Sink` over an idempotent producer, `acks=all`, keyed by stream id.

    Record headers: `schema`, `content-type`, `kind`, `message-id`, `traceparent`.

    `write` buffers, up to `Tuning.most_pending`, beyond which it raises `Backpressure`. While the
    broker is away the buffer stays, and the client sends it as soon as the broker is back, in order
    and once. When the broker refuses the producer itself (its state is lost, rights are withdrawn),
    the sink starts a new producer and sends again what was not acknowledged. Then a message may
    arrive twice, and what arrives first is still in order per stream.

    A body over `max_message_bytes` raises `Rejected` in `write`. A message that only the broker
    refuses (too large for the topic, a bad record) is let go, counted in `rejected_total`, and
    named by a `Rejected` of the next `flush`, which has delivered the rest.

    `delivered_total` counts the messages at the head of what was written that are acknowledged. It
    grows in `write` and `flush`. With a `transactional_id` each flush ends a transaction, and they
    are acknowledged together.
    """

    def __init__(
        self,
        bootstrap_servers: Sequence[str],
        topic: str | Mapping[Kind, str],
        name: str = "kafka",
        connect_timeout_s: float = 5.0,
        *,
        client: ClientName = "kafka-python",
        access: Access | None = None,
        tuning: Tuning | None = None,
        create: Creation | None = None,
        encoding: Encoding | None = None,
        transactional_id: str | None = None,
    ) -> None:
        self.name = name
        self._topics: Mapping[Kind, str] = (
            dict.fromkeys(get_args(Kind), topic) if isinstance(topic, str) else dict(topic)
        )
        settings = Settings(
            sink=name,
            servers=tuple(bootstrap_servers),
            client_id=f"eyrie-{next(_client_numbers)}",
            access=access or Access(),
            tuning=tuning or Tuning(),
            transactional_id=transactional_id,
        )
        topics = sorted(set(self._topics.values()))
        self._producer = Producer(settings, client_maker(client, settings), topics, create)
        self._words = Wording(settings)
        self._transactional_id = transactional_id
        self._connect_timeout_s = connect_timeout_s
        self._encoding = encoding or Encoding.json()
        self._is_open = False

    @property
    def delivered_total(self) -> int:
        """See the class."""
        return self._producer.delivered_total

    @property
    def rejected_total(self) -> int:
        """See the class."""
        return self._producer.rejected_total

    @property
    def pending(self) -> int:
        """Messages taken and neither acknowledged nor rejected yet."""
        return self._producer.pending

    @property
    def transactional_id(self) -> str | None:
        """Under which name flushes are transactions, if they are."""
        return self._transactional_id

    def open(self) -> None:
        """See `Sink.open`. The topics are there, or are made; and we may write to them."""
        if not self._is_open:
            # What a `close` left undelivered is the caller's to write again.
            self._producer.forget()
            self._producer.connect(self._connect_timeout_s, self._words.at_start)
            self._is_open = True

    def write(self, messages: Sequence[Outgoing]) -> None:
        """See `Sink.write`, and the class."""
        if not self._is_open:
            raise SinkUnavailable(self.name, f"{self._words.where} is not open")
        records = [self._record(message) for message in messages]
        if not self._producer.take(records):
            why = f"{self.pending} messages wait for {self._words.where}"
            raise Backpressure(self.name, why, 0.1)

    def flush(self, timeout_s: float) -> None:
        """See `Sink.flush`, and the class."""
        deadline_s = time.monotonic() + timeout_s
        self._producer.settle()
        while self.pending:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise self._words.undelivered(self.pending, timeout_s, self._producer.why_stuck())
            self._producer.advance(left_s, self._connect_timeout_s)
        refused = self._producer.take_refused()
        if refused:
            raise self._words.refused(refused)

    def close(self) -> None:
        """See `Sink.close`. Returns within two seconds also when the broker is dead; `pending` says
        how many messages were never acknowledged."""
        if self._is_open:
            with suppress(SinkGone):
                self._producer.settle()
        self._is_open = False
        self._producer.abandon(grace_s=1.0)

    def _record(self, message: Outgoing) -> Record:
        topic = self._topics.get(message.kind)
        why = f"message {message.message_id} of stream {message.key!r}: "
        if topic is None:
            raise self._rejected(message, f"{why}no topic for the kind {message.kind}")
        try:
            record = to_record(message, topic, self._encoding)
        except ValueError as error:
            raise self._rejected(message, f"{why}{error}") from error
        limit_bytes = self._producer.limit_bytes
        if len(record.value) > limit_bytes:
            size = f"{len(record.value)} bytes are more than max_message_bytes {limit_bytes}"
            raise self._rejected(message, why + size)
        return record

    def _rejected(self, message: Outgoing, why: str) -> Rejected:
        return Rejected(self.name, why, message_ids=[message.message_id])
