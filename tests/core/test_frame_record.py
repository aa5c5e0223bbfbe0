"""The hot path writes what the models would write."""

import json
from datetime import UTC
from typing import Any

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.account import StreamAccount
from pipeline.compose.composer import Composer
from pipeline.core.arrays import F32, I32
from pipeline.core.clock import utc_datetime, utc_text
from pipeline.core.detections import Detections
from pipeline.core.frame import FrameInfo
from pipeline.core.frame_record import DetectionRow, FrameRecord, to_json
from pipeline.core.messages import Detection, FrameMessage, Model, Producer, decode, encode
from pipeline.core.tracks import Tracks
from stages.zones import Rules
from tests.core.any_message import frame_messages

LABELS = ("person", 'bus "7"', "vélo\n")
PRODUCER = Producer(
    instance="i\\1", version="1", run_id="r",
    model=Model(name="m", sha256="0" * 64, precision="fp32", engine="none"),
)  # fmt: skip

counts = st.integers(0, 2**53)
moments_ns = st.integers(0, 2**62)
infos = st.builds(
    FrameInfo, stream_id=st.text(min_size=1, max_size=9), epoch=counts, seq=counts,
    pts_ns=st.integers(-(2**62), 2**62), captured_ns=moments_ns, arrived_ns=moments_ns,
    clock=st.sampled_from(["rtcp", "container", "file", "arrival"]), uncertainty_ns=counts,
    width=st.integers(1, 2**31), height=st.integers(1, 2**31),
)  # fmt: skip


@st.composite
def results(draw: st.DrawFn) -> tuple[Detections, Tracks]:
    """Detections of any numbers at all, and tracks of some of them."""
    count = draw(st.integers(0, 6))
    xyxy: F32 = draw(hnp.arrays(np.float32, (count, 4)))
    score: F32 = draw(hnp.arrays(np.float32, count, elements=st.floats(-1, 2, width=32)))
    class_id: I32 = draw(hnp.arrays(np.int32, count, elements=st.integers(0, 2)))
    matched = draw(st.permutations(range(count)))[: draw(st.integers(0, count))]
    rows = np.array(sorted(matched), np.int64)
    tracks = Tracks(
        xyxy[rows], score[rows], class_id[rows], np.arange(1, len(rows) + 1), rows,
        np.empty(0, np.int64),
    )  # fmt: skip
    return Detections(xyxy, score, class_id), tracks


class Fixed:
    """A `Tracker` that says what it was told to say."""

    def __init__(self, tracks: Tracks) -> None:
        self._tracks = tracks

    def update(
        self, xyxy: F32, score: F32, class_id: I32, time_s: float | None = None, **more: object
    ) -> Tracks:
        return self._tracks

    def reset(self) -> None:
        """Nothing is remembered."""


class Stopped:
    """A `Clock` that stands still."""

    def __init__(self, ns: int) -> None:
        self._ns = ns

    def monotonic_s(self) -> float:
        return 0.0

    def utc_ns(self) -> int:
        return self._ns


@given(infos, results(), moments_ns, st.integers(0, 3))
def test_what_is_made_from_any_arrays_is_what_the_model_writes(
    info: FrameInfo, result: tuple[Detections, Tracks], now_ns: int, drops: int
) -> None:
    found, tracks = result
    account = StreamAccount(info.stream_id)
    for _ in range(drops):
        account.drop(account.decode(), "late")
    composer = Composer(account, PRODUCER, LABELS, Fixed(tracks), Rules(), 0.25, Stopped(now_ns))
    *_, record = composer.frame(info, found)[0]
    body = to_json(record)
    message = decode(body)
    assert json.loads(encode(message)) == json.loads(body)
    if (np.abs(found.xyxy) < 1e16).all():  # from there on one writes 1e16, the other 1e+16
        assert encode(message) == body
    assert isinstance(message, FrameMessage)
    assert isinstance(record, FrameRecord)
    assert record.model() == message
    assert message.captured_at == utc_datetime(info.captured_ns)
    told = [d for d in message.detections if d.track_id is not None]
    assert {d.track_id for d in told} <= set(tracks.track_id.tolist())
    finite = np.isfinite(found.xyxy).all(axis=1)
    assert len(message.detections) <= int(finite.sum())


@given(frame_messages)
def test_a_record_of_any_frame_message_is_that_message(message: FrameMessage) -> None:
    record = msgspec.json.decode(encode(message), type=FrameRecord)
    assert record.model() == message
    assert {name: getattr(record, name) for name in ("kind", "stream_id", "seq", "width")} == {
        name: getattr(message, name) for name in ("kind", "stream_id", "seq", "width")
    }


def _written(model: type[Any]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def test_records_have_the_fields_of_the_models_in_their_order() -> None:
    assert list(FrameRecord.__struct_encode_fields__) == _written(FrameMessage)
    assert list(DetectionRow.__struct_encode_fields__) == _written(Detection)


def test_detections_can_be_left_out_of_a_copy() -> None:
    info = FrameInfo(
        stream_id="gate", epoch=0, seq=0, pts_ns=0, captured_ns=0, arrived_ns=0, clock="file",
        uncertainty_ns=0, width=9, height=9,
    )  # fmt: skip
    found = Detections(
        np.zeros((2, 4), np.float32), np.ones(2, np.float32), np.array([0, 1], np.int32)
    )
    composer = Composer(StreamAccount("gate"), PRODUCER, LABELS, None, Rules(), 0.25, Stopped(0))
    (record,) = composer.frame(info, found)[0]
    assert isinstance(record, FrameRecord)
    fewer = record.with_detections([row for row in record.detections if row.label == "person"])
    assert [row["label"] for row in json.loads(fewer.encode())["detections"]] == ["person"]
    assert len(record.detections) == 2


@given(st.integers(-(2**60), 2**63))
def test_times_as_text_are_those_of_datetimes(ns: int) -> None:
    wanted = utc_datetime(ns).astimezone(UTC).isoformat(timespec="microseconds")
    assert utc_text(ns) == wanted.replace("+00:00", "Z")
