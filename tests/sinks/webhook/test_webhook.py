"""The webhook against a real HTTP server that answers as it likes."""

import logging
import time
from collections.abc import Callable, Sequence

import pytest

from pipeline.core.clock import SystemClock
from pipeline.core.errors import Backpressure, Rejected, SinkError, SinkUnavailable
from sinks.base import Outgoing
from sinks.signature import SIGNATURE_HEADER, idempotency_key, sign, verify
from sinks.webhook import BatchLimits, WebhookSink
from tests.services.hook import Answer, Hook, Post
from tests.services.streams import bodies_by_stream, outgoing

SECRET = "correct horse battery staple"
HEADERS = {"Authorization": "Bearer hunter2"}


class _Clock(SystemClock):
    """The machine's, put forward by the tests instead of waiting."""

    ahead_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.ahead_s


CLOCK = _Clock()


def _sink(hook: Hook, *, messages: int = 8, timeout_s: float = 20) -> WebhookSink:
    limits = BatchLimits(messages=messages)
    return WebhookSink(
        hook.url, limits=limits, headers=HEADERS, secret=SECRET, timeout_s=timeout_s, clock=CLOCK
    )


def _deliver(sink: WebhookSink, messages: Sequence[Outgoing]) -> list[SinkError]:
    """Write and flush until all is settled, on a clock that jumps over pauses: the errors on the
    way."""
    errors: list[SinkError] = []
    sink.write(messages)
    while len(errors) < 50:
        try:
            sink.flush(20)
        except SinkError as error:
            errors.append(error)
            if isinstance(error, Backpressure):
                CLOCK.ahead_s += error.retry_after_s
        else:
            return errors
    raise AssertionError(f"never settled: {errors[-1]}")


def _refuses(*message_ids: str) -> Callable[[Post], Answer]:
    """A receiver that takes a batch whole, or not at all where one of these is in it."""

    def judge(post: Post) -> Answer:
        found = {message["message_id"] for message in post.messages}
        return Answer(422 if found & set(message_ids) else 200)

    return judge


def test_batches_hold_so_many_messages_or_bytes() -> None:
    messages = outgoing(["gate"], frames=40)
    limits = BatchLimits(messages=30, body_bytes=4 * len(messages[4].body))
    with Hook() as hook:
        sink = WebhookSink(hook.url, limits=limits)
        sink.open()
        sink.write(messages)
        sink.flush(20)
        sink.close()
        assert hook.bodies == bodies_by_stream(messages)
        assert sink.delivered_total == len(messages)
        assert 10 < len(hook.posts) <= len(messages)
        assert all(len(post.body) <= limits.body_bytes + 2 for post in hook.posts)


def test_full_batches_leave_in_write_and_the_rest_in_flush() -> None:
    messages = outgoing(["gate"], frames=18)
    with Hook() as hook:
        sink = _sink(hook)
        sink.open()
        sink.write(messages[:8])
        sink.write(messages[8:10])
        assert [len(post.messages) for post in hook.posts] == [8]
        sink.flush(20)
        assert [len(post.messages) for post in hook.posts] == [8, 2]
        sink.close()


def test_every_request_is_signed_and_a_retry_has_the_same_key() -> None:
    messages = outgoing(["gate"], frames=3)
    with Hook(Answer(503)) as hook:
        sink = _sink(hook)
        sink.open()
        assert [type(error) for error in _deliver(sink, messages)] == [SinkUnavailable]
        sink.close()
    first, second = hook.posts
    key = idempotency_key([message.message_id for message in messages])
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"] == key
    for post in hook.posts:
        assert post.headers["Authorization"] == "Bearer hunter2"
        assert verify(SECRET.encode(), post.headers[SIGNATURE_HEADER], post.body, time.time())


def test_a_signature_holds_for_its_body_its_secret_and_its_time() -> None:
    signed = sign(b"secret", 1000, b"body")
    assert verify(b"secret", signed, b"body", now_s=1299)
    assert not verify(b"secret", signed, b"body", now_s=1301)
    assert not verify(b"secret", signed, b"body", now_s=699)
    assert not verify(b"secret", signed, b"bodY", now_s=1000)
    assert not verify(b"Secret", signed, b"body", now_s=1000)
    assert not verify(b"secret", signed.replace("t=1000", "t=1001"), b"body", now_s=1000)
    assert not verify(b"secret", "t=1000", b"body", now_s=1000)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
def test_what_may_pass_is_tried_again(status: int) -> None:
    messages = outgoing(["gate"], frames=3)
    with Hook(Answer(status)) as hook:
        sink = _sink(hook)
        sink.open()
        (error,) = _deliver(sink, messages)
        assert type(error) is SinkUnavailable
        assert f"http://localhost:{hook.port} answers {status}" in str(error)
        assert hook.bodies == bodies_by_stream(messages)
        sink.close()


@pytest.mark.parametrize(
    ("told", "pause_s"), [("7", 7), ("0", 0), ("86400", 300), ("Thu, 01 Jan 1970 00:00:00 GMT", 0)]
)
def test_retry_after_is_honoured(told: str, pause_s: float) -> None:
    with Hook(Answer(429, {"Retry-After": told})) as hook:
        sink = _sink(hook)
        sink.open()
        (error,) = _deliver(sink, outgoing(["gate"], frames=1))
        assert isinstance(error, Backpressure)
        assert error.retry_after_s == pause_s
        sink.close()


def test_no_request_is_made_before_the_time_that_was_asked_for() -> None:
    messages = outgoing(["gate"], frames=20)
    with Hook(Answer(503, {"Retry-After": "60"})) as hook:
        sink = _sink(hook)
        sink.open()
        sink.write(messages)
        for _ in range(3):
            with pytest.raises(Backpressure) as flushed:
                sink.flush(20)
            with pytest.raises(Backpressure) as written:
                sink.write(messages)
            for raised in (flushed, written):
                assert 50 < raised.value.retry_after_s <= 60
        assert len(hook.posts) == 1
        CLOCK.ahead_s += 60
        assert _deliver(sink, []) == []
        assert hook.bodies == bodies_by_stream(messages)
        sink.close()


@pytest.mark.parametrize("status", [308, 401, 403, 404, 405, 410])
def test_what_an_operator_has_to_mend_costs_no_message(status: int) -> None:
    messages = outgoing(["gate"], frames=20)
    target = {"Location": "https://elsewhere.example/token?key=hunter2"}
    with Hook() as hook:
        sink = _sink(hook)
        sink.open()
        hook.answers.append(Answer(status, target if status == 308 else {}))
        (error,) = _deliver(sink, messages)
        assert type(error) is SinkUnavailable
        assert str(status) in str(error)
        assert ("https://elsewhere.example:" in str(error)) == (status == 308)
        assert hook.bodies == bodies_by_stream(messages)
        sink.close()


def test_a_redirect_is_refused_at_the_start() -> None:
    with Hook(Answer(308, {"Location": "https://elsewhere.example/"})) as hook:
        sink = _sink(hook)
        with pytest.raises(
            Rejected, match=r"redirects to https://elsewhere.example: put the final"
        ):
            sink.open()
        sink.close()
        assert hook.posts == []


@pytest.mark.parametrize("bad", [{0}, {21}, {5, 6}, {3, 11, 12, 20}])
def test_a_refused_message_is_found_and_all_others_get_through(bad: set[int]) -> None:
    messages = outgoing(["gate", "yard"], frames=9)
    ids = [messages[place].message_id for place in sorted(bad)]
    with Hook(judge=_refuses(*ids)) as hook:
        sink = _sink(hook)
        sink.open()
        errors = _deliver(sink, messages)
        sink.close()
    assert [type(error) for error in errors] == [Rejected]
    assert [i for e in errors if isinstance(e, Rejected) for i in e.message_ids] == ids
    good = [message for place, message in enumerate(messages) if place not in bad]
    assert hook.bodies == bodies_by_stream(good)
    assert sink.delivered_total == len(good)


def test_a_message_that_is_too_large_does_not_hold_up_the_others() -> None:
    messages = outgoing(["gate"], frames=9)
    limit = max(len(message.body) for message in messages) + 1
    with Hook(judge=lambda post: Answer(200 if len(post.body) <= limit else 413)) as hook:
        sink = _sink(hook)
        sink.open()
        (error,) = _deliver(sink, messages)
        sink.close()
    largest = [m.message_id for m in messages if len(m.body) + 2 > limit]
    assert isinstance(error, Rejected)
    assert list(error.message_ids) == largest
    assert sum(map(len, hook.bodies.values())) == len(messages) - len(largest)


def test_a_receiver_that_hangs_up_gets_the_batch_again() -> None:
    messages = outgoing(["gate"], frames=3)
    with Hook(Answer(None)) as hook:
        sink = _sink(hook)
        sink.open()
        (error,) = _deliver(sink, messages)
        assert type(error) is SinkUnavailable
        assert "the connection broke" in str(error)
        assert hook.bodies == bodies_by_stream(messages)
        sink.close()


def test_a_receiver_that_does_not_answer_is_given_up_in_time() -> None:
    messages = outgoing(["gate"], frames=3)
    with Hook() as hook:
        sink = _sink(hook, timeout_s=0.2)
        sink.open()
        hook.released.clear()
        sink.write(messages)
        with pytest.raises(SinkUnavailable, match=r"no answer within 0\.2 s"):
            sink.flush(20)
        hook.released.set()
        assert _deliver(sink, []) == []
        sink.close()
    assert {m["message_id"] for m in hook.taken[-1].messages} == {m.message_id for m in messages}


def test_an_answer_without_an_end_is_read_for_as_long_as_one_may_take() -> None:
    messages = outgoing(["gate"], frames=3)
    with Hook(Answer(200, drips="body")) as hook:
        sink = _sink(hook, timeout_s=0.2)
        sink.open()
        sink.write(messages)
        sink.flush(20)
        assert sink.delivered_total == len(messages)
        sink.close()


def test_headers_without_an_end_are_waited_for_as_long_as_for_an_answer() -> None:
    messages = outgoing(["gate"], frames=3)
    with Hook(Answer(200, drips="header")) as hook:
        sink = _sink(hook, timeout_s=0.2)
        sink.open()
        sink.write(messages)
        begin_s = time.monotonic()
        with pytest.raises(SinkUnavailable, match=r"no answer within 0\.2 s"):
            sink.flush(20)
        assert 0.2 <= time.monotonic() - begin_s < 10
        assert _deliver(sink, []) == []
        sink.close()


def test_nobody_there() -> None:
    with Hook() as hook:
        url, port = hook.url, hook.port
    sink = WebhookSink(url)
    with pytest.raises(SinkUnavailable, match=r"cannot connect: .*refused") as raised:
        sink.open()
    assert f"http://localhost:{port}" in str(raised.value)
    sink.close()


def test_it_is_found_again_after_it_was_away() -> None:
    messages = outgoing(["gate"], frames=6)
    with Hook() as hook:
        sink = _sink(hook)
        sink.open()
        assert _deliver(sink, messages[:4]) == []
        before = hook.bodies
    sink.write(messages[4:])
    with pytest.raises(SinkUnavailable):
        sink.flush(20)
    with Hook(port=hook.port) as again:
        assert _deliver(sink, []) == []
    sink.close()
    assert before["gate"] + again.bodies["gate"] == [message.body for message in messages]


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    messages = outgoing(["gate"], frames=3)
    with Hook() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        sink = WebhookSink("http://receiver.example/hook")
        sink.open()
        assert _deliver(sink, messages) == []
        sink.close()
        assert proxy.bodies == bodies_by_stream(messages)
        assert {post.headers["Host"] for post in proxy.posts} == {"receiver.example"}


def test_no_secret_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Hook(Answer(401), Answer(500), Answer(None), Answer(422)) as hook:
        sink = _sink(hook)
        sink.open()
        errors = _deliver(sink, outgoing(["gate"], frames=1)[:1])
        sink.close()
    told = caplog.text + sink.name + repr(sink) + " ".join(map(str, errors))
    assert len(errors) == 4
    assert not [word for word in ("hunter2", "t0ken", SECRET, "hook/") if word in told]
