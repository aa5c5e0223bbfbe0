"""One message of each kind and shape, the same for ever: what a version writes.

    python -m tests.core.golden_messages

writes `docs/schema/golden/VERSION.jsonl` and `VERSION.avro.txt`, the compact form in hex, for the
version in `pipeline.core.messages.SCHEMA`. Files of versions that were released are never written
again: a test holds them against the code.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pipeline.core.avro import encode_avro
from pipeline.core.messages import (
    SCHEMA,
    Detection,
    DirectionViolationMessage,
    DwellMessage,
    EndOfStreamMessage,
    Event,
    Evidence,
    FrameMessage,
    Heartbeat,
    IntervalCountsMessage,
    Kind,
    LineCrossMessage,
    LoiteringMessage,
    Message,
    Model,
    OccupancyMessage,
    OvercrowdingMessage,
    PlanePoint,
    Producer,
    StoppedMessage,
    StreamStatusMessage,
    TrackEndMessage,
    ZoneEnterMessage,
    ZoneExitMessage,
    encode,
    message_id,
    track_uid,
)

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs/schema/golden"
START: Final = datetime(2026, 11, 24, 9, 30, 2, 41000, UTC)
RUN: Final = "20261124T093000.000000Z-6d1f0c2b9a837e55"
PRODUCER: Final = Producer(
    instance="edge-7:4211",
    version="0.1.0",
    run_id=RUN,
    model=Model(
        name="yolo_nas_n_int8",
        sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        precision="int8",
        engine="onnxruntime-cpu",
    ),
)
CAPTURED: Final = START + timedelta(milliseconds=560)
EVIDENCE: Final = [
    Evidence(kind="crop", path="gate/0123-crop.jpg", size_bytes=20_480),
    Evidence(kind="frame", missing="writer_busy"),
    Evidence(kind="clip", path="gate/0123-clip.mp4", begins_at=START, ends_at=CAPTURED),
]
BEAT: Final = Heartbeat(
    number=6, interval_s=10, state="up", conditions=["blurred"], decoded=1750, published=1490,
    dropped={"overflow": 7, "late": 1, "at_rest": 250}, waiting=2,
    messages={"frame": 1490, "track_end": 11, "event": 4, "stream_status": 8},
)  # fmt: skip


def _envelope(kind: Kind, seq: int, sub: str = "") -> dict[str, Any]:
    return {
        "message_id": message_id(RUN, "gate", 1, seq, kind, sub),
        "stream_id": "gate",
        "epoch": 1,
        "seq": seq,
        "published_at": START + timedelta(milliseconds=40 * seq + 72, microseconds=400),
        "producer": PRODUCER,
    }


def _frame(seq: int, detections: list[Detection], **more: Any) -> FrameMessage:
    captured = START + timedelta(milliseconds=40 * seq)
    plain: dict[str, Any] = {
        "pts_ns": 40_000_000 * seq, "captured_at": captured, "captured_source": "rtcp",
        "captured_uncertainty_ms": 31.5, "arrived_at": captured + timedelta(milliseconds=31),
        "width": 1920, "height": 1080, "dropped_since_last": {},
    }  # fmt: skip
    return FrameMessage(**_envelope("frame", seq), **plain | more, detections=detections)


def _status(sub: str, **fields: Any) -> StreamStatusMessage:
    return StreamStatusMessage(**_envelope("stream_status", 14, sub), **fields)


def _zone(model: type[Event], sub: str, **fields: Any) -> Event:
    event = str(model.model_fields["event"].default)
    return model.model_validate(
        {
            **_envelope("event", 14, f"{event}:{sub}"), "captured_at": CAPTURED,
            "event_id": message_id(RUN, "gate", 1, 0, "event", f"{event}:{sub}"), **fields,
        }
    )  # fmt: skip


def zone_events(track: dict[str, Any]) -> list[Event]:
    """One of each, those that last in several phases."""
    at: dict[str, Any] = {**track, "zone": "dock", "point": (441.875, 398.5)}
    since: dict[str, Any] = {"started_at": START, "duration_ms": 560.0}
    crowd: dict[str, Any] = {"zone": "dock", "by_label": {"person": 2, "car": 1}, "count": 3}
    way = {"heading_deg": 181.5, "allowed_deg": 0.0, "tolerance_deg": 60.0}
    counts: dict[str, Any] = {"counts": {"in": 3, "out": 1}, "to_at": CAPTURED, "from_at": START}
    return [
        _zone(ZoneEnterMessage, "dock:7", **at, entered_at=START, cause="crossed"),
        _zone(ZoneExitMessage, "dock:7", **at, entered_at=START, exited_at=CAPTURED,
              inside_ms=560.0, cause="left"),
        _zone(DwellMessage, "dock:7:start", **at, started_at=START, duration_ms=0.0,
              phase="start"),
        _zone(DwellMessage, "dock:7:update", **at, **since, phase="update"),
        _zone(DwellMessage, "dock:7:end", **at, **since, phase="end", cause="lost"),
        _zone(LoiteringMessage, "dock:7", **at, **since, phase="start", limit_ms=500.0,
              evidence=EVIDENCE),
        _zone(StoppedMessage, "dock:7", **at, **since, phase="end", limit_ms=500.0, cause="over"),
        _zone(DirectionViolationMessage, "dock:7", **at, **since, phase="start", **way),
        _zone(OccupancyMessage, "dock", **crowd, **since, peak=4, phase="update"),
        _zone(OccupancyMessage, "dock:end", zone="dock", by_label={}, count=0, **since, peak=4,
              phase="end", cause="epoch"),
        _zone(OvercrowdingMessage, "dock", **crowd, **since, peak=3, limit=3, phase="start"),
        _zone(IntervalCountsMessage, "dock", **counts, zone="dock", observed_ms=560.0, peak=3,
              by_label={"person": {"in": 2, "out": 1}, "car": {"in": 1, "out": 0}}),
        _zone(IntervalCountsMessage, "door", **counts, line="door", observed_ms=560.0,
              by_label={}),
    ]  # fmt: skip


def golden() -> list[Message]:
    """In the order in which a stream might tell them."""
    uid = track_uid(RUN, "gate", 7)
    walker = Detection(
        label="person", class_id=0, score=0.8731, box=(412.5, 220.0, 471.25, 398.5),
        track_id=7, track_uid=uid, track_state="confirmed", track_age_ms=480.0,
        plane=PlanePoint(
            position_m=(1.25, -7.5), position_uncertainty_m=0.08, speed_m_s=1.41,
            speed_uncertainty_m_s=0.2, velocity_m_s=(1.0, -1.0),
        ),
    )  # fmt: skip
    stray = Detection(label="car", class_id=2, score=0.3, box=(0.01, -3.5, 99.99, 1e6))
    track: dict[str, Any] = {"track_id": 7, "track_uid": uid, "label": "person", "class_id": 0}
    return [
        _status("up:1", status="up", reason="first frame decoded", attempt=1),
        _frame(13, []),
        _frame(14, [walker, stray], dropped_since_last={"overflow": 1, "target_fps": 2}),
        LineCrossMessage(
            **_envelope("event", 14, "line_cross:door:7:0"), **track,
            event_id=message_id(RUN, "gate", 1, 0, "event", "line_cross:door:7:0"), line="door",
            direction="in", point=(441.875, 398.5), crossed_at=START, counts={"in": 3, "out": 1},
            captured_at=CAPTURED, evidence=EVIDENCE, speed_m_s=1.41, speed_uncertainty_m_s=0.2,
        ),
        *zone_events(track),
        TrackEndMessage(
            **_envelope("track_end", 14, "7"), **track, first_seq=2, last_seq=14,
            captured_at=START, first_captured_at=START - timedelta(milliseconds=480), frames=12,
            age_ms=480.0, cause="lost",
        ),
        _status("impaired:blurred:3", status="impaired", reason="3 s of blur", attempt=0,
                condition="blurred", metrics={"sharpness": 0.125, "least": 4.0}),
        _status("heartbeat:6", status="heartbeat", reason="up", attempt=0, heartbeat=BEAT),
        _status("down:1", status="down", reason="silent for 5 s", attempt=1, cause="unavailable"),
        EndOfStreamMessage(
            **_envelope("end_of_stream", 14), decoded=15, published=12,
            dropped={"overflow": 1, "target_fps": 2}, error='said: "ende" ≠ end',
            messages={"frame": 12, "event": 14, "track_end": 1, "stream_status": 4,
                      "end_of_stream": 1},
            detections={"person": 12, "car": 1}, tracks={"person": 1},
        ),
    ]  # fmt: skip


def main() -> None:
    messages, version = golden(), SCHEMA.partition("/")[2]
    FOLDER.mkdir(parents=True, exist_ok=True)
    lines = b"".join(encode(message) + b"\n" for message in messages)
    (FOLDER / f"{version}.jsonl").write_bytes(lines)
    compact = "".join(encode_avro(message).hex() + "\n" for message in messages)
    (FOLDER / f"{version}.avro.txt").write_text(compact)


if __name__ == "__main__":
    main()
