"""Webhook: batches of messages by HTTP POST, signed, each sent again until the receiver has it."""

import logging
import ssl
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from pipeline.core.clock import Clock, SystemClock
from pipeline.core.errors import Backpressure, Rejected, SinkError, SinkUnavailable
from sinks.base import Outgoing
from sinks.signature import SIGNATURE_HEADER, idempotency_key, sign
from sinks.tls import Tls
from sinks.webhook.answer import Refused, judge, place_of
from sinks.webhook.answer_limit import AnswerLimit

if TYPE_CHECKING:
    import httpx

BodyFormat = Literal["array", "ndjson"]
_MOST_READ_BYTES: Final = 1 << 16
_CONTENT_TYPE: Final[dict[BodyFormat, str]] = {
    "array": "application/json",
    "ndjson": "application/x-ndjson",
}


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """A POST holds at most so many messages, and bodies of so many bytes together unless it is one
    message alone."""

    messages: int = 100
    body_bytes: int = 1_000_000


class WebhookSink:
    """A `Sink` that POSTs to `url`, one batch after another, so each stream stays in order.

    `write` keeps messages until they fill a batch, `flush` sends the rest. What becomes of a batch
    is in `answer.judge`: on a refusal that speaks of a message the batch is halved until the
    message is found and all others are through; `flush` then raises `Rejected` with its id.

    `open` makes the connection and sends a HEAD request, so that a wrong host, port, certificate or
    a redirect is found at the start. Only scheme, host and port of the address are ever told, for
    its path may hold a token. `headers` and `secret` are never told.
    """

    def __init__(
        self,
        url: str,
        name: str = "webhook",
        *,
        body_format: BodyFormat = "array",
        limits: BatchLimits = BatchLimits(),
        headers: Mapping[str, str] | None = None,
        secret: str | None = None,
        tls: Tls | None = None,
        connect_timeout_s: float = 10.0,
        timeout_s: float = 30.0,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.delivered_total = 0
        self._url, self._place = url, place_of(url)
        self._format, self._limits = body_format, limits
        self._headers = {**(headers or {}), "Content-Type": _CONTENT_TYPE[body_format]}
        self._secret = secret.encode() if secret is not None else None
        self._tls = tls or Tls()
        self._timeouts_s = (connect_timeout_s, timeout_s)
        self._limit = AnswerLimit(timeout_s)
        self._clock = clock or SystemClock()
        self._client: httpx.Client | None = None
        self._pending: deque[Outgoing] = deque()
        self._pending_bytes = 0
        self._most = limits.messages
        self._refused: dict[str, str] = {}
        self._not_before_s = float("-inf")

    def open(self) -> None:
        if self._client is not None:
            return
        client = self._connect()
        try:
            self._try(client)
        except BaseException:
            client.close()
            raise
        self._client = client

    def write(self, messages: Sequence[Outgoing]) -> None:
        client = self._opened()
        while self._has_full_batch():
            self._send(client)
        self._pending.extend(messages)
        self._pending_bytes += sum(len(message.body) for message in messages)

    def flush(self, timeout_s: float) -> None:
        """See `Sink.flush`. May overrun by one request, which has its own time limit."""
        client = self._opened()
        deadline_s = self._clock.monotonic_s() + timeout_s
        while self._pending:
            if self._clock.monotonic_s() > deadline_s:
                raise Backpressure(self.name, f"{self._place} is slow", retry_after_s=0)
            self._send(client)
        if self._refused:
            refused, self._refused = self._refused, {}
            raise Rejected(self.name, next(iter(refused.values())), message_ids=tuple(refused))

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
        self._pending.clear()
        self._pending_bytes = 0
        self._refused.clear()
        self._most = self._limits.messages

    def _try(self, client: "httpx.Client") -> None:
        """Whether somebody answers, whom we may trust, and at this very address."""
        try:
            status, headers = self._ask(client, "HEAD", b"")
        except _Untrusted as error:
            raise Rejected(self.name, error.why) from None
        if 300 <= status < 400:
            found = judge(self.name, self._place, status, headers, self._now_s())
            raise Rejected(self.name, found.why if found else str(status))

    def _opened(self) -> "httpx.Client":
        if self._client is None:
            raise SinkUnavailable(self.name, f"{self._place} is not open")
        return self._client

    def _connect(self) -> "httpx.Client":
        try:
            import httpx
        except ImportError:
            why = "a webhook needs another package: pip install 'eyrie[webhook]'"
            raise SinkError(self.name, why) from None
        for library in ("httpx", "httpcore"):  # they log whole addresses, which may hold tokens
            logging.getLogger(library).setLevel(logging.WARNING)
        connect_s, answer_s = self._timeouts_s
        return httpx.Client(
            headers=self._headers,
            timeout=httpx.Timeout(answer_s, connect=connect_s),
            verify=self._tls.context(self.name) if self._place.startswith("https:") else False,
            follow_redirects=False,
        )

    def _has_full_batch(self) -> bool:
        limits = self._limits
        many = len(self._pending) >= limits.messages
        return many or self._pending_bytes + len(self._pending) > limits.body_bytes

    def _batch(self) -> list[Outgoing]:
        batch: list[Outgoing] = []
        size_bytes = 0
        for message in self._pending:
            size_bytes += len(message.body) + 1
            if len(batch) == self._most or (batch and size_bytes > self._limits.body_bytes):
                break
            batch.append(message)
        return batch

    def _send(self, client: "httpx.Client") -> None:
        """The next batch: delivered, halved, or, if it is one message, refused for good. Raises,
        with the batch kept, when it is to be sent again."""
        wait_s = self._not_before_s - self._clock.monotonic_s()
        if wait_s > 0:
            raise Backpressure(self.name, f"{self._place} asked to be left alone", wait_s)
        batch = self._batch()
        refused = self._post(client, batch)
        if refused is not None and len(batch) > 1:
            self._most = len(batch) // 2
            return
        if refused is None:
            self.delivered_total += len(batch)
            self._most = min(self._limits.messages, 2 * self._most)
        else:
            self._refused[batch[0].message_id] = refused.why
        for _ in batch:
            self._pending_bytes -= len(self._pending.popleft().body)

    def _post(self, client: "httpx.Client", batch: Sequence[Outgoing]) -> Refused | None:
        bodies = [message.body for message in batch]
        if self._format == "array":
            body = b"[" + b",".join(bodies) + b"]"
        else:
            body = b"\n".join(bodies) + b"\n"
        key = idempotency_key([message.message_id for message in batch])
        status, headers = self._ask(client, "POST", body, {"Idempotency-Key": key})
        return self._judge(status, headers)

    def _judge(self, status: int, headers: Mapping[str, str]) -> Refused | None:
        verdict = judge(self.name, self._place, status, headers, self._now_s())
        if isinstance(verdict, Backpressure):
            self._not_before_s = self._clock.monotonic_s() + verdict.retry_after_s
        if isinstance(verdict, SinkError):
            raise verdict
        return verdict

    def _ask(
        self, client: "httpx.Client", method: str, body: bytes, more: Mapping[str, str] = {}
    ) -> tuple[int, Mapping[str, str]]:
        """Status and headers of the answer. Raises `SinkUnavailable` without one in time. Of an
        answer that goes on and on, no more is read than there was time for; its status counts."""
        import httpx

        answered: tuple[int, Mapping[str, str]] | None = None
        headers, watched = {**more, **self._signature(body)}, {"trace": self._limit.trace}
        asking = client.stream(method, self._url, content=body, headers=headers, extensions=watched)
        try:
            with self._limit, asking as answer:
                answered, read_bytes = (answer.status_code, answer.headers), 0
                for part in answer.iter_raw():  # a connection is kept only if its answer was read
                    read_bytes += len(part)
                    if read_bytes > _MOST_READ_BYTES or self._limit.is_over:
                        break
        except httpx.HTTPError as error:
            if answered is None or not self._limit.is_over:
                raise self._failure(error) from None  # its text may hold an address or a header
        return answered

    def _signature(self, body: bytes) -> dict[str, str]:
        if self._secret is None:
            return {}
        return {SIGNATURE_HEADER: sign(self._secret, int(self._now_s()), body)}

    def _failure(self, error: "httpx.HTTPError") -> SinkUnavailable:
        import httpx

        connect_s, answer_s = self._timeouts_s
        untrusted = _cause(error, ssl.SSLCertVerificationError)
        if untrusted is not None:
            why = f"{self._place}: the certificate is refused: {untrusted.verify_message}"
            return _Untrusted(self.name, why)
        match error:
            case httpx.ConnectTimeout():
                why = f"no connection within {connect_s:g} s"
            case _ if self._limit.is_over or isinstance(error, httpx.TimeoutException):
                why = f"no answer within {answer_s:g} s"
            case httpx.ConnectError():
                why = f"cannot connect: {error}"
            case _:
                why = f"the connection broke ({type(error).__name__})"
        return SinkUnavailable(self.name, f"{self._place}: {why}")

    def _now_s(self) -> float:
        return self._clock.utc_ns() / 1e9


class _Untrusted(SinkUnavailable):
    """The receiver's certificate is refused."""


_Cause = TypeVar("_Cause", bound=BaseException)


def _cause(error: BaseException, kind: type[_Cause]) -> _Cause | None:
    """The first error of this kind among those that an error came from."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, kind):
        found = found.__cause__ or found.__context__
    return found
