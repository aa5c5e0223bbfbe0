"""The proof finds every hole and every contradiction, and none in what is whole."""

import random

from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.messages import FrameMessage, Message, StreamStatusMessage, encode, message_id
from sinks.consume.base import Record
from sinks.consume.proof import KINDS, Asked, Proof
from sinks.consume.remembered import PAGE, ById, ByNumber
from sinks.consume.stream_proof import StreamProof
from tests.services.streams import PRODUCER, START
from tests.sinks.consume.told import end, frame, proof, records, track_end, whole

KEPT = st.lists(st.booleans(), min_size=1, max_size=40)


def only(found: Proof) -> StreamProof:
    (stream,) = found.streams.values()
    return stream


def wrong(found: Proof) -> list[str]:
    return found.told + [
        text
        for stream in found.streams.values()
        for text in (*found.holes(stream), *found.faults(stream))
    ]


def status(status: str, seq: int) -> StreamStatusMessage:
    return StreamStatusMessage.model_validate(
        {
            "message_id": message_id("run-1", "gate", 0, seq, "stream_status", status),
            "stream_id": "gate", "epoch": 0, "seq": seq, "published_at": START,
            "producer": PRODUCER, "status": status, "reason": "", "attempt": 0,
            "condition": "frozen",
        }
    )  # fmt: skip


@given(KEPT, st.data())
def test_a_whole_stream_is_complete_with_any_repetition(
    kept: list[bool], data: st.DataObject
) -> None:
    epochs = sorted(data.draw(st.lists(st.integers(0, 4), min_size=len(kept), max_size=len(kept))))
    messages = whole(kept, epochs)
    arrived: list[Message] = []
    for place, message in enumerate(messages):
        arrived += [message, *messages[place - data.draw(st.integers(0, place)) : place]]
    found = proof(arrived)
    assert wrong(found) == []
    assert found.complete
    stream = only(found)
    assert stream.is_ended
    assert stream.frames == sum(kept)
    assert stream.duplicates == len(arrived) - len(messages)
    assert sum(epoch.frames for epoch in stream.epochs.values()) == sum(kept)


@given(KEPT.filter(any), st.data())
def test_whatever_is_lost_is_found(kept: list[bool], data: st.DataObject) -> None:
    messages = whole(kept)
    lost = data.draw(st.sets(st.integers(0, len(messages) - 2), min_size=1))
    arrived = [message for place, message in enumerate(messages) if place not in lost]
    found = proof(arrived)
    assert not found.complete
    highest = max((m.seq for m in arrived if m.kind == "frame"), default=-1)
    gone = {messages[place].seq for place in lost if messages[place].kind == "frame"}
    holes = {n for h in only(found).holes(False) for n in range(h.first_seq, h.last_seq + 1)}
    assert {seq for seq in gone if seq < highest} <= holes
    assert holes.isdisjoint(m.seq for m in arrived if m.kind == "frame")


def test_the_order_does_not_matter_for_completeness_but_is_told() -> None:
    messages = whole([True] * 30)
    shuffled = random.Random(1).sample(messages, len(messages))
    stream = only(proof(shuffled))
    assert stream.holes(False) == []
    assert stream.disorder > 0
    assert any("came behind" in text for text in stream.told)


def test_a_hole_says_where_it_is() -> None:
    found = proof([frame(0), frame(1), frame(5, epoch=1), frame(6, epoch=2)])
    assert wrong(found) == ["epoch 0-1: seq 2 to 4 (3 frames)"]


def test_a_beginning_that_was_trimmed_is_no_hole_where_that_may_be() -> None:
    messages = whole([True] * 12)[4:]
    assert wrong(proof(messages))[0] == "epoch 0: seq 0 to 2 (3 frames)"
    assert proof(messages, Asked(trimmed=True)).complete
    assert not proof([m for m in messages if m.seq != 7], Asked(trimmed=True)).complete


def test_what_was_cut_off_is_no_error() -> None:
    found = proof(whole([True] * 9)[:-1])
    assert found.complete
    assert not only(found).is_ended


def test_a_lost_tail_is_a_hole_and_a_dropped_one_is_none() -> None:
    kept = [True, True, False, True, False, False]
    assert proof(whole(kept)).complete
    lost = [message for message in whole(kept) if message.seq != 3 or message.kind != "frame"]
    assert "epoch 0: seq 2 to 5 (4 frames)" in wrong(proof(lost))


def test_a_stream_that_lost_everything_but_its_end_has_a_hole() -> None:
    assert "epoch ?: seq 0 to 1 (2 frames)" in wrong(proof([end([frame(0), frame(1)], 2)]))


def test_lost_ends_of_tracks_are_missed() -> None:
    messages = [m for m in whole([True] * 9) if m.seq != 6 or m.kind != "track_end"]
    assert wrong(proof(messages)) == ["end_of_stream tells 3 of kind track_end, here 2"]
    only_frames = Asked(kinds=frozenset({"frame", "end_of_stream"}))
    assert proof(messages, only_frames).complete


def test_a_sink_without_frames_has_no_holes() -> None:
    messages = [m for m in whole([True] * 9) if m.kind != "frame"]
    assert not proof(messages).complete
    assert proof(messages, Asked(kinds=KINDS - {"frame"})).complete


def test_the_same_id_with_other_content_is_wrong_and_another_run_of_it_is_not() -> None:
    messages = whole([True] * 4)
    later = PRODUCER.model_copy(update={"instance": "another:1"})
    again = [m.model_copy(update={"producer": later}) for m in messages]
    found = proof([*messages, *again])
    assert found.complete
    assert only(found).duplicates == len(messages)
    other = frame(2).model_copy(update={"width": 9})
    found = proof([*messages, other])
    assert wrong(found) == [f"message {other.message_id} (topic/0 at 7) differs from an earlier one"
                            " of its id"]  # fmt: skip
    altered = track_end(1, 0).model_copy(update={"label": "car"})
    assert only(proof([*messages, altered])).conflicts == 1


def test_frames_told_twice_by_different_messages_are_wrong() -> None:
    stream = only(proof([frame(0), frame(1), frame(3, dropped=2)]))
    assert stream.contradictions == 1


def test_pictures_that_are_never_cleared_are_wrong() -> None:
    messages: list[Message] = [frame(0), status("impaired", 0), frame(1)]
    last = end(messages, 2).model_copy(update={"messages": {}})
    assert wrong(proof([*messages, last])) == ["impaired and never cleared: frozen"]
    assert proof([*messages, status("cleared", 1), last]).complete


def test_totals_that_do_not_add_up_are_wrong() -> None:
    messages = [frame(0), frame(1)]
    odd = end(messages, 2).model_copy(update={"decoded": 3})
    assert "end_of_stream: decoded is not published + dropped" in wrong(proof([*messages, odd]))
    less = end([frame(0)], 2)
    assert "end_of_stream tells 1 frame messages, here 2" in wrong(proof([*messages, less]))


def test_what_is_no_message_is_told_with_its_place() -> None:
    found = Proof(Asked())
    found.take([Record(b"{not json", "gate.jsonl", 77), Record(b"{}", "gate.jsonl", 99)])
    assert not found.complete
    assert found.invalid == 2
    assert found.told[0].startswith("gate.jsonl at 77: ")


def test_strictness_finds_what_a_glance_does_not() -> None:
    good = records([frame(0), frame(1)])
    bad = Record(encode(frame(2)).replace(b'"width":2', b'"width":0'), "t/0", 2)
    alien = frame(3).model_copy(update={"message_id": "f" * 32})
    for strict, invalid in ((False, 0), (True, 2)):
        found = Proof(Asked(strict=strict))
        found.take([*good, bad, *records([alien])])
        assert found.invalid == invalid


def test_dead_letters_account_for_what_did_not_arrive() -> None:
    messages = whole([True] * 6)
    found = Proof(Asked())
    found.take(records(m for m in messages if m.seq != 4))
    found.take(records(m for m in messages if m.seq == 4), dead_letters=True)
    assert found.complete
    assert only(found).dead_lettered == 1


def test_runs_and_streams_can_be_chosen() -> None:
    both = [*whole([True] * 3), frame(5, stream="yard")]
    assert not proof(both).complete
    assert proof(both, Asked(streams=("gate",))).complete
    assert proof(both, Asked(runs=("another",))).streams == {}


def test_nothing_proves_nothing() -> None:
    assert not proof([]).complete


def test_fingerprints_are_bounded() -> None:
    by_number, by_id = ByNumber(most_pages=2), ById(most=2)
    assert [by_number.swap(0, page * PAGE, 7) for page in (0, 1, 0, 2, 1)] == [0, 0, 7, 0, 0]
    assert [by_id.swap(key, 7) for key in ("a", "b", "a", "c", "a")] == [0, 0, 7, 0, 0]


def test_frames_behind_an_end_are_of_a_stream_that_was_started_again() -> None:
    first = whole([True] * 3)
    found = proof([*first, frame(3), frame(4)])
    assert found.complete
    assert not only(found).is_ended
    frames: list[Message] = [m for m in first if isinstance(m, FrameMessage)]
    again = end([*frames, track_end(1, 0), frame(3), frame(4)], 5, epoch=1)
    found = proof([*first, frame(3), frame(4), again.model_copy(update={"messages": {}})])
    assert found.complete
    assert only(found).is_ended
