"""Apache Kafka: every message at least once, in order per stream, acknowledged by all replicas."""

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import get_args

from pipeline.core.errors import Backpressure, Rejected, SinkError, SinkGone, SinkUnavailable
from pipeline.core.log import get_logger, redact
from pipeline.core.messages import Kind
from sinks.base import Outgoing
from sinks.kafka.client import (
    FRAMING_BYTES,
    Access,
    Client,
    Creation,
    Record,
    Settings,
    Trouble,
    Tuning,
)
from sinks.kafka.open_client import ClientName, client_maker
from sinks.kafka.record import Encoding, to_record
from sinks.kafka.topics import ready_topics
from sinks.kafka.window import SuspectMessages, Window

log = get_logger(__name__)
_client_numbers = itertools.count(1)

_LEAST_BATCH_BYTES = 16_384


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
        self.delivered_total = 0
        self.rejected_total = 0
        self._topics: Mapping[Kind, str] = (
            dict.fromkeys(get_args(Kind), topic) if isinstance(topic, str) else dict(topic)
        )
        self._tuning = tuning or Tuning()
        self._settings = Settings(
            sink=name,
            servers=tuple(bootstrap_servers),
            client_id=f"eyrie-{next(_client_numbers)}",
            access=access or Access(),
            tuning=self._tuning,
            transactional_id=transactional_id,
        )
        self._make_client = client_maker(client, self._settings)
        self._connect_timeout_s = connect_timeout_s
        self._create = create
        self._encoding = encoding or Encoding.json()
        self._batch_bytes = self._tuning.batch_bytes
        self._limit_bytes = self._tuning.max_message_bytes
        self._is_open = False
        self._client: Client | None = None
        self._window = Window(self._tuning)
        self._culprits = SuspectMessages()
        self._begun_s: float | None = None
        self._is_committing = False
        self._why: str | None = None
        self._gone: Trouble | None = None

    @property
    def pending(self) -> int:
        """Messages taken and neither acknowledged nor rejected yet."""
        return len(self._window)

    @property
    def transactional_id(self) -> str | None:
        """Under which name flushes are transactions, if they are."""
        return self._settings.transactional_id

    def open(self) -> None:
        """See `Sink.open`. The topics are there, or are made; and we may write to them."""
        if not self._is_open:
            # What a `close` left undelivered is the caller's to write again.
            self._window.clear()
            self._culprits.clear()
            self._connect(self._connect_timeout_s, self._final)
            self._is_open = True

    def write(self, messages: Sequence[Outgoing]) -> None:
        """See `Sink.write`, and the class."""
        if not self._is_open:
            raise SinkUnavailable(self.name, f"{self._where} is not open")
        records = [self._record(message) for message in messages]
        self._settle()
        if not self._window.has_room(records):
            raise Backpressure(self.name, f"{self.pending} messages wait for {self._where}", 0.1)
        self._window.take(records)
        self._push()

    def flush(self, timeout_s: float) -> None:
        """See `Sink.flush`, and the class."""
        deadline_s = time.monotonic() + timeout_s
        self._settle()
        while self.pending:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise SinkUnavailable(self.name, self._undelivered(timeout_s))
            self._advance(left_s)
        refused = self._culprits.take_refused()
        if refused:
            raise self._refusal(refused)

    def close(self) -> None:
        """See `Sink.close`. Returns within two seconds also when the broker is dead; `pending` says
        how many messages were never acknowledged."""
        if self._is_open:
            with suppress(SinkGone):
                self._settle()
        self._is_open = False
        self._abandon(grace_s=1.0)

    @property
    def _where(self) -> str:
        return ",".join(self._settings.servers)

    def _record(self, message: Outgoing) -> Record:
        topic = self._topics.get(message.kind)
        why = f"message {message.message_id} of stream {message.key!r}: "
        if topic is None:
            raise self._rejected(message, f"{why}no topic for the kind {message.kind}")
        try:
            record = to_record(message, topic, self._encoding)
        except ValueError as error:
            raise self._rejected(message, f"{why}{error}") from error
        if len(record.value) > self._limit_bytes:
            size = f"{len(record.value)} bytes are more than max_message_bytes {self._limit_bytes}"
            raise self._rejected(message, why + size)
        return record

    def _rejected(self, message: Outgoing, why: str) -> Rejected:
        return Rejected(self.name, why, message_ids=[message.message_id])

    def _advance(self, left_s: float) -> None:
        """One step of a flush: connect, send, wait for the oldest record, or commit."""
        if self._begun_s is not None and _age_s(self._begun_s) > self._tuning.transaction_timeout_s:
            self._start_over(Trouble("broken", "the transaction took too long"))
        if self._client is None:
            self._connect(min(left_s, self._connect_timeout_s), self._retryable)
        self._push()
        if self._window.sent and not self._window.sent[0].is_delivered:
            self._wait(self._window.sent[0], self._patience_s(left_s))
        self._settle()
        if (
            self._window.uncommitted
            and not self._window.sent
            and (self._is_committing or not self._window.waiting)
        ):
            self._commit(self._patience_s(left_s))

    def _patience_s(self, left_s: float) -> float:
        """A transaction that a broker has forgotten is never answered: no longer than it lasts."""
        if self._begun_s is None:
            return left_s
        return min(left_s, max(0.1, self._tuning.transaction_timeout_s - _age_s(self._begun_s)))

    def _connect(self, timeout_s: float, told: Callable[[Trouble], SinkError]) -> None:
        if self._gone is not None:
            raise self._final(self._gone)
        deadline_s = time.monotonic() + timeout_s
        client = self._make_client()
        topics = sorted(set(self._topics.values()))
        try:
            client.start(timeout_s, self._batch_bytes)
            limit = ready_topics(client, topics, self._create, deadline_s)
            if limit is not None:
                self._obey(limit)
            client.begin(topics, max(deadline_s - time.monotonic(), 0.1))
        except Trouble as trouble:
            client.close(grace_s=0)
            raise told(trouble) from trouble
        client.forget_error()
        self._client, self._begun_s, self._is_committing = client, None, False

    def _obey(self, limit_bytes: int) -> None:
        """The smallest of the topics' limits, which are for a batch as it is sent."""
        room = max(limit_bytes - FRAMING_BYTES, limit_bytes // 2)
        self._batch_bytes = min(self._batch_bytes, room)
        if self._tuning.compression == "none":
            self._limit_bytes = min(self._tuning.max_message_bytes, limit_bytes)

    def _push(self) -> None:
        """Hand to the client what waits, but for what has to travel alone."""
        while self._window.waiting and self._client is not None and not self._is_committing:
            record = self._window.waiting[0]
            if self._culprits.must_wait(record, self._window.sent):
                return
            try:
                self._hand_over(record, self._client)
            except Trouble as trouble:
                if trouble.kind == "bad_message":
                    self._refuse(self._window.waiting.popleft(), str(trouble))
                elif trouble.kind == "away":
                    self._why = str(trouble)
                    return
                else:
                    self._start_over(trouble)
            else:
                self._window.sent.append(self._window.waiting.popleft())

    def _hand_over(self, record: Record, client: Client) -> None:
        if record.is_delivered:
            return
        if self.transactional_id is not None and self._begun_s is None:
            client.open_transaction()
            self._begun_s = time.monotonic()
        client.send(record)

    def _settle(self) -> None:
        """Account for what the broker has answered."""
        self._wait(None, 0)
        if self._client is not None and self._window.sent and self._has_arrived(self._client):
            self._why = None
            self._client.forget_error()
        while self._window.sent and self._client is not None:
            record = self._window.sent[0]
            if not record.is_delivered:
                if not self._client.is_done(record):
                    return
                trouble = self._client.trouble_of(record)
                if trouble is not None:
                    self._fail(trouble, self._client)
                    return
            self._window.sent.popleft()
            if self._culprits.acquit(record):
                # Each is small enough: together they were not.
                self._batch_bytes = max(self._batch_bytes // 2, _LEAST_BATCH_BYTES)
            if self.transactional_id is None:
                self._deliver(record)
            else:
                self._window.uncommitted.append(record)

    def _has_arrived(self, client: Client) -> bool:
        """The oldest that was sent."""
        oldest = self._window.sent[0]
        return oldest.is_delivered or (client.is_done(oldest) and client.trouble_of(oldest) is None)

    def _wait(self, record: Record | None, timeout_s: float) -> None:
        if self._client is None:
            return
        try:
            self._client.wait(record, timeout_s)
        except Trouble as trouble:
            self._fail(trouble, self._client)

    def _deliver(self, record: Record) -> None:
        self.delivered_total += 1
        self._window.let_go(record)

    def _commit(self, left_s: float) -> None:
        if self._client is None:
            return
        self._is_committing = True
        try:
            self._client.commit(left_s)
        except Trouble as trouble:
            if trouble.kind == "away":
                self._why = str(trouble)
                return
            self._start_over(trouble)
            return
        self._is_committing, self._begun_s, self._why = False, None, None
        while self._window.uncommitted:
            self._deliver(self._window.uncommitted.popleft())

    def _fail(self, trouble: Trouble, client: Client) -> None:
        """Find the messages that may be bad: they are sent again, each alone. One that fails alone
        is bad."""
        is_alone = len(self._window.sent) == 1
        for record in tuple(self._window.sent):
            if record.is_delivered or not client.is_done(record):
                continue
            met = client.trouble_of(record)
            record.is_delivered = met is None and self.transactional_id is None
            if met is not None and met.kind == "bad_message":
                self._culprits.suspect(record)
                if is_alone:
                    self._refuse(self._window.sent.popleft(), str(met))
        self._start_over(trouble)

    def _refuse(self, record: Record, why: str) -> None:
        self._culprits.condemn(record, why)
        self._window.let_go(record)
        self.rejected_total += 1

    def _start_over(self, trouble: Trouble) -> None:
        """Give up the producer; what it did not deliver waits again, in order."""
        self._abandon(grace_s=0)
        self._window.recall()
        self._why = str(trouble)
        began_s, self._begun_s, self._is_committing = self._begun_s, None, False
        # The broker fences those too whose transaction it had to undo.
        is_young = began_s is None or _age_s(began_s) < self._tuning.transaction_timeout_s / 2
        if trouble.kind == "fenced" and self.transactional_id and is_young:
            self._gone = trouble
            raise self._final(trouble)
        text = self._line(str(trouble))
        log.warning("sink %r: new Kafka producer, the last one failed: %s", self.name, text)

    def _abandon(self, grace_s: float) -> None:
        if self._client is not None:
            self._client.close(grace_s)
            self._client = None

    def _final(self, trouble: Trouble) -> SinkError:
        """What a trouble means at the start."""
        text = self._line(str(trouble))
        if trouble.kind == "refused":
            return Rejected(self.name, text)
        if trouble.kind == "fenced":
            advice = "another process writes under this sink's name: give them different names"
            return SinkGone(self.name, f"{text}: {advice}")
        return SinkUnavailable(self.name, text)

    def _retryable(self, trouble: Trouble) -> SinkError:
        """What it means while messages wait: no reason to lose them."""
        return SinkUnavailable(self.name, self._line(str(trouble)))

    def _undelivered(self, timeout_s: float) -> str:
        text = f"{self.pending} messages not acknowledged after {timeout_s:g} s"
        met = (self._client.last_error if self._client is not None else None) or self._why
        return self._line(f"{text}: {met}" if met else text)

    def _refusal(self, refused: list[tuple[str, str]]) -> Rejected:
        ids = [message_id for message_id, _ in refused]
        more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
        text = f"refused message {', '.join(ids[:5])}{more}: {refused[0][1]}"
        return Rejected(self.name, self._line(text), message_ids=ids)

    def _line(self, text: str) -> str:
        hidden = self._settings.access.hide(redact(" ".join(text.split())))
        return f"{self._where}: {hidden}"[:400]


def _age_s(begun_s: float) -> float:
    return time.monotonic() - begun_s
