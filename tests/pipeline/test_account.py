"""The account of a stream, and pauses between tries."""

import random
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from pipeline.account import Report, SinkReport, StreamAccount, StreamReport
from pipeline.core.backoff import Backoff
from pipeline.core.messages import DropReason

Fate = DropReason | Literal["publish"]
FATES_OF_MANY: list[Fate | None] = ["publish", "overflow", "late", None]
FATES = st.sampled_from(["publish", "overflow", "target_fps"])


@given(st.lists(FATES, max_size=80))
def test_reported_drops_fill_exactly_the_gaps_in_seq(fates: list[str]) -> None:
    account = StreamAccount("a")
    previous = -1
    for fate in fates:
        seq = account.decode()
        assert not account.settled
        if fate == "publish":
            since = account.publish(seq)
            assert sum(since.values()) == seq - previous - 1
            previous = seq
        else:
            reason: DropReason = "overflow" if fate == "overflow" else "target_fps"
            account.drop(seq, reason)
    decoded, published, dropped = account.totals()
    assert decoded == published + sum(dropped.values()) == len(fates)
    assert account.settled
    assert account.next_seq == len(fates)


def test_a_drop_of_a_later_frame_is_told_with_a_later_message() -> None:
    account = StreamAccount("a")
    for _ in range(3):
        account.decode()
    account.drop(1, "overflow")
    assert account.publish(0) == {}
    assert account.publish(2) == {"overflow": 1}


@given(
    fates=st.lists(st.sampled_from(FATES_OF_MANY), max_size=40),
    order=st.randoms(use_true_random=False),
)
def test_each_drop_is_told_once_by_the_next_frame_whenever_it_happens(
    fates: list[Fate | None], order: random.Random
) -> None:
    account = StreamAccount("a")
    for _ in fates:
        account.decode()
    drops = {seq: fate for seq, fate in enumerate(fates) if fate and fate != "publish"}
    for seq in order.sample(sorted(drops), len(drops)):
        account.drop(seq, drops[seq])
    begin = 0
    for seq in (seq for seq, fate in enumerate(fates) if fate == "publish"):
        if None in fates[:seq]:  # frames are published in order
            break
        between = [drops[other] for other in range(begin, seq) if other in drops]
        assert account.publish(seq) == {r: between.count(r) for r in set(between)}
        begin = seq


def test_a_stream_whose_frames_are_all_dropped_keeps_no_list_of_them() -> None:
    account = StreamAccount("a")
    reasons: list[DropReason] = ["corrupt", "late", "load"]
    for number in range(30_000):
        account.drop(account.decode(), reasons[number % 3])
    assert len(account._open) + sum(map(len, account._open.values())) + len(account._behind) == 3
    assert account.publish(account.decode()) == dict.fromkeys(reasons, 10_000)


@given(first=st.floats(0.01, 10), longest=st.floats(10, 1000), seed=st.integers(0, 99))
def test_backoff_grows_within_its_bounds_and_starts_over(
    first: float, longest: float, seed: int
) -> None:
    backoff = Backoff(first, longest, random.Random(seed))
    for failures in range(40):
        bound = min(longest, first * 2.0**failures)
        assert bound / 2 <= backoff.pause_s() <= bound
    assert backoff.failures == 40
    backoff.succeed()
    assert backoff.pause_s() <= first


def test_a_report_gathers_the_errors_of_streams_and_sinks() -> None:
    streams = [StreamReport("a"), StreamReport("b", error="stream 'b': gone")]
    sinks = [SinkReport("kafka", error="sink 'kafka': away")]
    assert Report(streams, sinks).errors == ["stream 'b': gone", "sink 'kafka': away"]


def test_fps_is_of_published_frames_since_the_start() -> None:
    report = StreamReport("a", published=10, started_s=2.0, last_frame_s=7.0)
    assert report.fps == 2.0
    assert StreamReport("b").fps == 0.0
