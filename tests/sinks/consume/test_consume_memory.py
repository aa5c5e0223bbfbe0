"""What a consumer remembers: duplicates are dropped, gaps are told, nothing new is dropped."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.messages import FrameMessage
from sinks.consume import memory
from sinks.consume.memory import Gap, Memory
from tests.sinks.consume.told import end, frame, track_end, whole

KEPT = st.lists(st.booleans(), min_size=1, max_size=40)


@given(KEPT, st.data())
def test_each_message_is_new_once_and_there_is_no_gap(
    kept: list[bool], data: st.DataObject
) -> None:
    messages = whole(kept)
    remembered = Memory()
    arrived = []
    for place, message in enumerate(messages):
        arrived.append(message)
        again = data.draw(st.integers(0, 3))
        arrived += messages[max(0, place - again + 1) : place + 1] if again else []
    taken = [remembered.take(message) for message in arrived]
    assert sum(new for new, _ in taken) == len(messages)
    assert remembered.duplicates == len(arrived) - len(messages)
    assert [gap for _, gap in taken if gap] == []


@given(KEPT, st.data())
def test_gaps_are_the_claims_of_the_frames_that_are_missing(
    kept: list[bool], data: st.DataObject
) -> None:
    messages = whole(kept)
    frames = [message for message in messages if isinstance(message, FrameMessage)]
    places = st.integers(1, len(frames) - 1) if len(frames) > 1 else st.nothing()
    lost = {frames[place].seq for place in data.draw(st.sets(places))}
    remembered = Memory()
    arrived = [m for m in messages if not (isinstance(m, FrameMessage) and m.seq in lost)]
    gaps = [gap for message in arrived if (gap := remembered.take(message)[1])]
    told = {seq for gap in gaps for seq in range(gap.first_seq, gap.last_seq + 1)}
    highest = max((m.seq for m in arrived if isinstance(m, FrameMessage)), default=-1)
    certain = {seq for seq in lost if seq < highest} if told else lost
    assert certain <= told
    here = [message.seq for message in arrived if isinstance(message, FrameMessage)]
    assert told.isdisjoint(here)
    assert all(a.last_seq < b.first_seq for a, b in pairwise(gaps))


def test_one_may_begin_in_the_middle() -> None:
    remembered = Memory()
    assert remembered.take(frame(500)) == (True, None)
    assert remembered.take(frame(503, dropped=2)) == (True, None)
    assert remembered.take(end([frame(0), frame(1)], 504)) == (True, None)


def test_a_gap_says_what_is_missing() -> None:
    remembered = Memory()
    remembered.take(frame(0))
    _, gap = remembered.take(frame(9, dropped=2, epoch=1))
    assert gap == Gap("run-1", "gate", 1, 1, 6)
    assert (gap.frames, gap.kind) == (6, "gap")


def test_a_late_frame_is_no_duplicate() -> None:
    remembered = Memory()
    taken = [remembered.take(frame(seq))[0] for seq in (0, 5, 3, 5, 3)]
    assert taken == [True, True, True, False, False]


def test_what_is_remembered_is_bounded_and_new_messages_pass() -> None:
    remembered = Memory()
    for seq in range(0, 4 * memory.MOST_RUNS_OF_SEQ, 2):
        assert remembered.take(frame(seq))[0]
    (stream,) = remembered._streams.values()
    assert len(stream.known) == memory.MOST_RUNS_OF_SEQ
    assert remembered.take(frame(1))[0]
    assert remembered.take(frame(0))[0], "forgotten: passed on rather than lost"
    assert remembered.take(track_end(1, 0))[0]
    assert not remembered.take(track_end(1, 0))[0]
