"""The producer of a sink: messages on their way to the broker, and the client that sends them."""

import time
from collections.abc import Callable, Sequence

from pipeline.core.errors import SinkError
from pipeline.core.log import get_logger
from sinks.kafka.client import FRAMING_BYTES, Client, Creation, Record, Settings, Trouble
from sinks.kafka.topics import lost_topics, ready_topics
from sinks.kafka.transaction import Transaction
from sinks.kafka.window import SuspectMessages, Window
from sinks.kafka.wording import Wording

log = get_logger(__name__)

_LEAST_BATCH_BYTES = 16_384
_STUCK_S = 2.0
"""The time without an acknowledgement after which the topics are looked for."""
_LOOK_TIMEOUT_S = 1.0


class Producer:
    """Delivers records in the order in which they come, at least once. When the broker refuses the
    client itself, the next `advance` makes a new one, and sends again what was not acknowledged.

    Any method but `abandon` may raise `SinkGone`: another producer has our transactional id.
    """

    def __init__(
        self,
        settings: Settings,
        make_client: Callable[[], Client],
        topics: Sequence[str],
        create: Creation | None,
    ) -> None:
        self.delivered_total = 0
        self.rejected_total = 0
        self.limit_bytes = settings.tuning.max_message_bytes
        """The most bytes of a body, as the topics take it."""
        self._name = settings.sink
        self._tuning = settings.tuning
        self._words = Wording(settings)
        self._make_client = make_client
        self._topics, self._create = topics, create
        self._batch_bytes = self._tuning.batch_bytes
        self._client: Client | None = None
        self._window = Window(self._tuning)
        self._culprits = SuspectMessages()
        self._transaction = Transaction(settings)
        self._why: str | None = None
        self._lost_topics: str | None = None
        self._look_s = 0.0
        self._gone: Trouble | None = None

    @property
    def pending(self) -> int:
        """Messages taken and neither acknowledged nor rejected yet."""
        return len(self._window)

    def why_stuck(self) -> str | None:
        """What keeps messages from being acknowledged, as far as anybody knows. No client tells
        that a topic was deleted, so where none tells anything the topics are looked for, which
        blocks for about a second."""
        client = self._client
        if client is None or client.last_error is not None:
            return self._why if client is None else client.last_error
        if time.monotonic() >= self._look_s:
            try:
                self._lost_topics = lost_topics(client, self._topics, _LOOK_TIMEOUT_S)
            except Trouble as trouble:
                self._why = str(trouble)
            self._look_s = time.monotonic() + _STUCK_S
        return self._lost_topics or self._why

    def _move(self) -> None:
        """Note that messages arrive."""
        self._why = self._lost_topics = None
        self._look_s = time.monotonic() + _STUCK_S

    def forget(self) -> None:
        """Forget what is pending."""
        self._window.clear()
        self._culprits.clear()

    def connect(self, timeout_s: float, told: Callable[[Trouble], SinkError]) -> None:
        """Start a client. The topics are there, or are made. Raises what `told` makes of it."""
        if self._gone is not None:
            raise self._words.at_start(self._gone)
        deadline_s = time.monotonic() + timeout_s
        client = self._make_client()
        try:
            client.start(timeout_s, self._batch_bytes)
            limit = ready_topics(client, self._topics, self._create, deadline_s)
            if limit is not None:
                self._obey(limit)
            client.begin(self._topics, max(deadline_s - time.monotonic(), 0.1))
        except Trouble as trouble:
            client.close(grace_s=0)
            raise told(trouble) from trouble
        client.forget_error()
        self._client = client
        self._move()
        self._transaction.forget()

    def _obey(self, limit_bytes: int) -> None:
        """The smallest of the topics' limits, which are for a batch as it is sent."""
        room = max(limit_bytes - FRAMING_BYTES, limit_bytes // 2)
        self._batch_bytes = min(self._batch_bytes, room)
        if self._tuning.compression == "none":
            self.limit_bytes = min(self._tuning.max_message_bytes, limit_bytes)

    def take(self, records: Sequence[Record]) -> bool:
        """Take records and send what can be sent. False: there is no room for them."""
        self.settle()
        if not self._window.has_room(records):
            return False
        if not self.pending:
            self._look_s = time.monotonic() + _STUCK_S
        self._window.take(records)
        self._push()
        return True

    def take_refused(self) -> list[tuple[str, str]]:
        """Take the ids and reasons of the messages refused since the last time."""
        return self._culprits.take_refused()

    def advance(self, left_s: float, connect_timeout_s: float) -> None:
        """Go one step, within about `left_s`: connect, send, wait for the oldest record, or
        commit. Raises `SinkUnavailable` where it cannot connect."""
        if self._transaction.is_overdue:
            self._start_over(Trouble("broken", "the transaction took too long"))
        if self._client is None:
            self.connect(min(left_s, connect_timeout_s), self._words.on_the_way)
        self._push()
        window = self._window
        if window.sent and not window.sent[0].is_delivered:
            self._wait(window.sent[0], self._transaction.patience_s(left_s))
        self.settle()
        is_last = self._transaction.is_committing or not window.waiting
        if window.uncommitted and not window.sent and is_last:
            self._commit(self._transaction.patience_s(left_s))

    def settle(self) -> None:
        """Account for what the broker has answered."""
        self._wait(None, 0)
        window = self._window
        if self._client is not None and window.sent and self._has_arrived(self._client):
            self._move()
            self._client.forget_error()
        while window.sent and self._client is not None:
            record = window.sent[0]
            if not record.is_delivered:
                if not self._client.is_done(record):
                    return
                trouble = self._client.trouble_of(record)
                if trouble is not None:
                    self._fail(trouble, self._client)
                    return
            window.sent.popleft()
            if self._culprits.acquit(record):
                # Each is small enough: together they were not.
                self._batch_bytes = max(self._batch_bytes // 2, _LEAST_BATCH_BYTES)
            if self._transaction.is_used:
                window.uncommitted.append(record)
            else:
                self._deliver(record)

    def abandon(self, grace_s: float) -> None:
        """Let the client go, within about `grace_s`. Idempotent."""
        if self._client is not None:
            self._client.close(grace_s)
            self._client = None

    def _push(self) -> None:
        """Hand to the client what waits, but for what has to travel alone."""
        window = self._window
        while window.waiting and self._client is not None and not self._transaction.is_committing:
            if self._culprits.must_wait(window.waiting[0], window.sent):
                return
            try:
                self._hand_over(window.waiting[0], self._client)
            except Trouble as trouble:
                match trouble.kind:
                    case "bad_message":
                        self._refuse(window.waiting.popleft(), str(trouble))
                    case "away":
                        self._why = str(trouble)
                        return
                    case _:
                        self._start_over(trouble)
            else:
                window.sent.append(window.waiting.popleft())

    def _hand_over(self, record: Record, client: Client) -> None:
        if not record.is_delivered:
            self._transaction.begin(client)
            client.send(record)

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
        try:
            self._transaction.commit(self._client, left_s)
        except Trouble as trouble:
            if trouble.kind == "away":
                self._why = str(trouble)
            else:
                self._start_over(trouble)
            return
        self._move()
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
            record.is_delivered = met is None and not self._transaction.is_used
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
        """Give up the client; what it did not deliver waits again, in order."""
        self.abandon(grace_s=0)
        self._window.recall()
        self._why = str(trouble)
        # The broker fences those too whose transaction it had to undo.
        is_young = self._transaction.is_young
        self._transaction.forget()
        if trouble.kind == "fenced" and self._transaction.is_used and is_young:
            self._gone = trouble
            raise self._words.at_start(trouble)
        text = self._words.line(str(trouble))
        log.warning("sink %r: new Kafka producer, the last one failed: %s", self._name, text)
