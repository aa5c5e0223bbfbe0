"""What a filter lets through, takes out, and keeps away."""

from collections.abc import Collection
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.frame_record import (
    AnyMessage,
    DetectionRow,
    FrameRecord,
    encode_producer,
    to_json,
)
from pipeline.core.messages import (
    EventMessage,
    FrameMessage,
    Kind,
    Message,
    TrackEndMessage,
    decode,
)
from sinks.filter import Filter
from tests.core.any_message import any_message
from tests.core.golden_messages import PRODUCER, golden

LABELS = ("person", "car", "ünïcode *")


def _record(message: FrameMessage) -> FrameRecord:
    """The same frame as it is on the hot path."""
    plain = message.model_dump(mode="json", exclude={"schema_", "producer", "detections"})
    rows = [DetectionRow(**found.model_dump()) for found in message.detections]
    return FrameRecord(**plain, producer=encode_producer(PRODUCER), detections=rows)


def _labels(told: AnyMessage | None) -> list[str]:
    assert isinstance(told, FrameMessage | FrameRecord)
    return [found.label for found in told.detections]


def _golden_frame() -> FrameMessage:
    return next(m for m in golden() if isinstance(m, FrameMessage) and m.detections)


def test_no_filter_is_everything() -> None:
    assert [Filter().apply(message) for message in golden()] == golden()


@pytest.mark.parametrize("kinds", [{"frame"}, {"event", "track_end"}, {"stream_status"}])
def test_kinds(kinds: Collection[Kind]) -> None:
    kept = [message for message in golden() if Filter(kinds=kinds).apply(message) is not None]
    assert kept == [message for message in golden() if message.kind in kinds]
    assert kept


@pytest.mark.parametrize(
    ("patterns", "passes"),
    [(("gate",), True), (("g*", "x"), True), (("[a-g]ate",), True), (("Gate",), False),
     (("gate-*",), False), (("*yard*",), False)],
)  # fmt: skip
def test_streams(patterns: tuple[str, ...], passes: bool) -> None:
    only = Filter(streams=patterns)
    assert [only.apply(message) is not None for message in golden()] == [passes] * len(golden())
    assert only.takes_stream("gate") == passes


@pytest.mark.parametrize("as_record", [False, True])
@pytest.mark.parametrize(
    ("only", "labels"),
    [
        (Filter(classes={"person"}), ["person"]),
        (Filter(classes={"car", "person"}), ["person", "car"]),
        (Filter(classes={"dog"}), []),
        (Filter(min_score=0.3), ["person", "car"]),
        (Filter(min_score=0.3001), ["person"]),
        (Filter(classes={"car"}, min_score=0.5), []),
    ],
)
def test_detections_are_taken_out_and_the_frame_stays(
    only: Filter, labels: list[str], as_record: bool
) -> None:
    frame = _golden_frame()
    told = _record(frame) if as_record else frame
    kept = only.apply(told)
    assert _labels(kept) == labels
    assert (kept is told) == (len(labels) == len(frame.detections))
    assert kept is not None
    rebuilt = decode(to_json(kept))
    assert isinstance(rebuilt, FrameMessage)
    detections = [d for d in frame.detections if d.label in labels]
    assert rebuilt == frame.model_copy(update={"detections": detections})


def test_tracks_and_events_of_other_classes_go() -> None:
    kinds: set[Kind] = {"track_end", "event"}
    told = [message for message in golden() if message.kind in kinds]
    assert [Filter(classes={"person"}).apply(message) for message in told] == told
    for message in told:  # those of a zone alone are of no class
        of_class = Filter(classes={"car"}).apply(message)
        assert of_class is (None if hasattr(message, "label") else message)
    assert [Filter(min_score=0.99).apply(message) for message in told] == told


def test_lines_are_about_events_alone() -> None:
    door, dock = Filter(lines={"door"}), Filter(zones={"dock"})
    both, gate = Filter(lines={"door"}, zones={"dock"}), Filter(lines={"gate"})
    for message in golden():
        of_line = getattr(message, "line", None) is not None
        is_event = isinstance(message, EventMessage)
        assert door.apply(message) is (None if is_event and not of_line else message)
        assert dock.apply(message) is (None if of_line else message)
        assert both.apply(message) is message
        assert gate.apply(message) is (None if is_event else message)


@given(
    any_message,
    st.none() | st.frozensets(st.sampled_from(get_args(Kind)), min_size=1),
    st.none() | st.frozensets(st.sampled_from(LABELS), min_size=1),
    st.floats(0, 1),
)
def test_a_filter_only_takes_away_and_once_is_enough(
    message: Message,
    kinds: frozenset[Kind] | None,
    classes: frozenset[str] | None,
    min_score: float,
) -> None:
    only = Filter(kinds=kinds, classes=classes, min_score=min_score)
    kept = only.apply(message)
    if kept is None:
        of_kind = kinds is None or message.kind in kinds
        of_class = classes is None or getattr(message, "label", None) in classes
        assert not of_kind or (isinstance(message, TrackEndMessage | EventMessage) and not of_class)
        return
    assert only.apply(kept) is kept
    assert kept.message_id == message.message_id
    if isinstance(message, FrameMessage):
        assert isinstance(kept, FrameMessage)
        assert all(found in message.detections for found in kept.detections)
        assert all(found.score >= min_score for found in kept.detections)
        assert classes is None or {found.label for found in kept.detections} <= classes
    else:
        assert kept is message
