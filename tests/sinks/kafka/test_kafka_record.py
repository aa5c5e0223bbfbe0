"""A message as a Kafka record, and which message of a refused batch is to blame."""

import re

import hypothesis.strategies as st
from hypothesis import given

from sinks.base import Outgoing
from sinks.kafka.client import Record, Tuning
from sinks.kafka.record import Encoding, to_record, traceparent
from sinks.kafka.window import SuspectMessages, Window

IDS = st.text("0123456789abcdef", min_size=32, max_size=32)


@given(IDS)
def test_a_trace_is_its_message(message_id: str) -> None:
    trace = traceparent(message_id).decode()
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", trace)
    assert trace.split("-")[1] == message_id
    assert trace == traceparent(message_id).decode()


def test_the_key_is_the_stream() -> None:
    message = Outgoing("frame", "ünïcode", "f" * 32, b"{}")
    record = to_record(message, "t", Encoding.json())
    assert (record.topic, record.key, record.value) == ("t", "ünïcode".encode(), b"{}")
    assert [name for name, _ in record.headers] == [
        "schema", "content-type", "kind", "message-id", "traceparent",
    ]  # fmt: skip


def _records(sizes: list[int]) -> list[Record]:
    return [Record(str(n), "t", b"k", b"x" * size, []) for n, size in enumerate(sizes)]


@given(st.lists(st.integers(0, 50), max_size=30), st.data())
def test_a_window_keeps_the_order(sizes: list[int], data: st.DataObject) -> None:
    window = Window(Tuning())
    records = _records(sizes)
    window.take(records)
    sent = data.draw(st.integers(0, len(records)))
    for _ in range(sent):
        window.sent.append(window.waiting.popleft())
    for _ in range(data.draw(st.integers(0, sent))):
        window.uncommitted.append(window.sent.popleft())
    window.recall()
    assert list(window.waiting) == records
    assert len(window) == len(records)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30))
def test_a_window_is_bounded(sizes: list[int]) -> None:
    window = Window(Tuning(most_pending=10, most_pending_bytes=100))
    for record in _records(sizes):
        if window.has_room([record]):
            window.take([record])
    assert len(window) <= 10
    assert sum(len(record.value) for record in window.waiting) <= 100
    assert Window(Tuning(most_pending=1)).has_room(_records(sizes))


@given(st.integers(1, 20), st.data())
def test_the_guilty_are_found_and_nobody_else(count: int, data: st.DataObject) -> None:
    """Send a refused batch again as the sink does: who travels alone and is refused, is bad."""
    guilty = data.draw(st.sets(st.integers(0, count - 1)))
    culprits = SuspectMessages()
    records = _records([1] * count)
    for record in records:
        culprits.suspect(record)
    for record in records:
        assert not culprits.must_wait(record, [])
        assert culprits.must_wait(record, [records[0]])
        if int(record.message_id) in guilty:
            culprits.condemn(record, "too large")
        else:
            innocent = culprits.acquit(record)
            assert innocent == (not guilty and record is records[-1])
    assert {int(message_id) for message_id, _ in culprits.take_refused()} == guilty
    assert culprits.take_refused() == []
