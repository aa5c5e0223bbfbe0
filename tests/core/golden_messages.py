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
    EndOfStreamMessage,
    FrameMessage,
    Heartbeat,
    Kind,
    LineCrossMessage,
    Message,
    Model,
    Producer,
    StreamStatusMessage,
    TrackEndMessage,
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
BEAT: Final = Heartbeat(
    number=6, interval_s=10, state="up", conditions=["blurred"], decoded=1500, published=1490,
    dropped={"overflow": 7, "late": 1}, waiting=2,
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


def golden() -> list[Message]:
    """In the order in which a stream might tell them."""
    uid = track_uid(RUN, "gate", 7)
    walker = Detection(
        label="person", class_id=0, score=0.8731, box=(412.5, 220.0, 471.25, 398.5),
        track_id=7, track_uid=uid, track_state="confirmed", track_age_ms=480.0,
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
        ),
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
            messages={"frame": 12, "event": 1, "track_end": 1, "stream_status": 4,
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
