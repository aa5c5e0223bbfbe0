"""Any message of the contract, for property tests."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args

from hypothesis import strategies as st

from pipeline.core.clock import ClockSource
from pipeline.core.errors import DownCause
from pipeline.core.messages import (
    CONDITIONS,
    Detection,
    DirectionViolationMessage,
    DropReason,
    DwellMessage,
    EndCause,
    EndOfStreamMessage,
    Event,
    Evidence,
    FrameMessage,
    Heartbeat,
    IntervalCountsMessage,
    Kind,
    LineCrossMessage,
    Liveness,
    LoiteringMessage,
    Message,
    Model,
    OccupancyMessage,
    OvercrowdingMessage,
    Phase,
    PlanePoint,
    Producer,
    Status,
    StoppedMessage,
    StreamStatusMessage,
    TrackEndCause,
    TrackEndMessage,
    TrackState,
    ZoneEnterMessage,
    ZoneExitMessage,
)  # fmt: skip


def one_of(words: Any) -> st.SearchStrategy[Any]:
    """A value of a `Literal`."""
    return st.sampled_from(get_args(words))


counts = st.integers(0, 2**53)
ids = st.integers(1, 2**53)
numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(max_size=12)
hex32 = st.text("0123456789abcdef", min_size=32, max_size=32)
moments = st.datetimes(
    datetime(1970, 1, 1), datetime(2200, 1, 1),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)  # fmt: skip
uids = st.text("0123456789abcdef", min_size=16, max_size=16)
ages = st.none() | st.floats(0, 1e12)
drops = st.dictionaries(one_of(DropReason), counts)
by_kind = st.dictionaries(one_of(Kind), counts)
by_label = st.dictionaries(texts, counts, max_size=3)
producers = st.builds(
    Producer, instance=texts, version=texts, run_id=texts,
    model=st.builds(
        Model, name=texts, sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
        precision=st.sampled_from(["int8", "fp16", "fp32"]), engine=texts,
    ),
)  # fmt: skip
pairs = st.tuples(numbers, numbers)
lengths = st.floats(0, 1e12)
planes = st.builds(
    PlanePoint, position_m=pairs, position_uncertainty_m=lengths, speed_m_s=ages,
    speed_uncertainty_m_s=ages, velocity_m_s=st.none() | pairs,
)  # fmt: skip
detections = st.builds(
    Detection, label=texts, class_id=counts, score=st.floats(0, 1),
    box=st.tuples(numbers, numbers, numbers, numbers), track_id=st.none() | ids,
    track_uid=st.none() | uids, track_state=st.none() | one_of(TrackState), track_age_ms=ages,
    plane=st.none() | planes,
)  # fmt: skip
common: dict[str, Any] = {
    "message_id": hex32, "stream_id": st.text(min_size=1, max_size=12), "epoch": counts,
    "published_at": moments, "producer": producers,
}  # fmt: skip
any_seq = st.integers(-1, 2**53)
track: dict[str, Any] = {
    "track_id": ids, "track_uid": st.none() | uids, "label": texts, "class_id": counts,
}  # fmt: skip
in_out = st.fixed_dictionaries({"in": counts, "out": counts})
evidence = st.builds(
    Evidence, kind=st.sampled_from(["crop", "frame", "clip"]), path=st.none() | texts,
    missing=st.none() | texts, begins_at=st.none() | moments, ends_at=st.none() | moments,
    size_bytes=st.none() | counts,
)  # fmt: skip
event: dict[str, Any] = {
    **common, "seq": any_seq, "event_id": hex32, "phase": one_of(Phase),
    "captured_at": st.none() | moments, "evidence": st.lists(evidence, max_size=2),
}  # fmt: skip
speed: dict[str, Any] = {"speed_m_s": ages, "speed_uncertainty_m_s": ages}
in_zone: dict[str, Any] = {
    **event, **track, **speed, "track_uid": uids, "zone": texts, "point": pairs,
}  # fmt: skip
stay: dict[str, Any] = {
    **in_zone, "started_at": moments, "duration_ms": lengths,
    "cause": st.none() | one_of(EndCause),
}  # fmt: skip
crowd: dict[str, Any] = {
    **event, "zone": texts, "count": counts, "by_label": by_label, "peak": counts,
    "started_at": moments, "duration_ms": lengths, "cause": st.none() | one_of(EndCause),
}  # fmt: skip
degrees = st.floats(0, 360)

any_event: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        LineCrossMessage, **event, **track, line=texts, direction=st.sampled_from(["in", "out"]),
        point=pairs, crossed_at=moments, counts=in_out, **speed,
    ),
    st.builds(
        ZoneEnterMessage, **in_zone, entered_at=moments,
        cause=st.sampled_from(["crossed", "appeared"]),
    ),
    st.builds(
        ZoneExitMessage, **in_zone, entered_at=moments, exited_at=moments, inside_ms=lengths,
        cause=one_of(EndCause),
    ),
    st.builds(DwellMessage, **stay),
    st.builds(LoiteringMessage, **stay, limit_ms=lengths),
    st.builds(StoppedMessage, **stay, limit_ms=lengths),
    st.builds(
        DirectionViolationMessage, **stay, heading_deg=degrees, allowed_deg=degrees,
        tolerance_deg=degrees,
    ),
    st.builds(OccupancyMessage, **crowd),
    st.builds(OvercrowdingMessage, **crowd, limit=ids),
    st.builds(
        IntervalCountsMessage, **event, line=st.none() | texts, zone=st.none() | texts,
        from_at=moments, to_at=moments, observed_ms=lengths, counts=in_out,
        by_label=st.dictionaries(texts, in_out, max_size=3), peak=st.none() | counts,
    ),
)  # fmt: skip
heartbeats = st.builds(
    Heartbeat, number=ids, interval_s=st.floats(1e-3, 1e9), state=one_of(Liveness),
    conditions=st.lists(st.sampled_from(CONDITIONS), max_size=3), decoded=counts,
    published=counts, dropped=drops, waiting=counts, messages=by_kind,
)  # fmt: skip

frame_messages = st.builds(
    FrameMessage, **common, seq=counts, pts_ns=st.integers(-(2**53), 2**53), captured_at=moments,
    captured_source=one_of(ClockSource), captured_uncertainty_ms=st.floats(0, 1e9),
    arrived_at=moments, width=ids, height=ids, dropped_since_last=drops,
    detections=st.lists(detections, max_size=3),
)  # fmt: skip

any_message: st.SearchStrategy[Message] = st.one_of(
    frame_messages,
    st.builds(
        TrackEndMessage, **common, **track, seq=any_seq, first_seq=counts, last_seq=counts,
        captured_at=moments, first_captured_at=st.none() | moments, frames=st.none() | ids,
        age_ms=ages, cause=st.none() | one_of(TrackEndCause),
    ),
    any_event,
    st.builds(
        StreamStatusMessage, **common, seq=any_seq, status=one_of(Status), reason=texts,
        attempt=counts, cause=st.none() | one_of(DownCause),
        condition=st.none() | st.sampled_from(CONDITIONS),
        metrics=st.dictionaries(texts, numbers, max_size=3), heartbeat=st.none() | heartbeats,
    ),
    st.builds(
        EndOfStreamMessage, **common, seq=any_seq, decoded=counts, published=counts,
        dropped=drops, error=st.none() | texts, messages=by_kind, detections=by_label,
        tracks=by_label,
    ),
)  # fmt: skip
