"""Messages of tracks that walk, as a run tells them."""

from collections.abc import Iterator

from pipeline.core.clock import SystemClock, utc_datetime, utc_text
from pipeline.core.frame_record import DetectionRow, FrameRecord, PlaneRow, encode_producer
from pipeline.core.messages import EndOfStreamMessage, Model, Producer
from sinks.base import Outgoing

PRODUCER = Producer(
    instance="here:1",
    version="0",
    run_id="walks",
    model=Model(name="scripted", sha256="0" * 64, precision="fp32", engine="none"),
)
START_NS = 1_700_000_000_000_000_000


def uid(number: int) -> str:
    return f"{number:016x}"


def frame(
    seq: int,
    seconds: float,
    tracks: dict[int, tuple[float, float]],
    *,
    stream_id: str = "gate",
    epoch: int = 0,
    plane: bool = True,
) -> Outgoing:
    """Tracks at (x, y) metres; in the picture at 100 pixels a metre, from (0, 0) down."""
    rows = [
        DetectionRow(
            "person", 0, 0.9, [100 * x - 5, 100 * y - 30, 100 * x + 5, 100 * y],
            number, uid(number), "confirmed", 0.0,
            PlaneRow([x, y], 0.1, 1.5, 0.2, [1.5, 0.0]) if plane else None,
        )
        for number, (x, y) in tracks.items()
    ]  # fmt: skip
    pts_ns = round(seconds * 1e9)
    record = FrameRecord(
        message_id=f"{seq:032x}",
        stream_id=stream_id,
        epoch=epoch,
        seq=seq,
        published_at=utc_text(START_NS + pts_ns),
        producer=encode_producer(PRODUCER),
        pts_ns=pts_ns,
        captured_at=utc_text(START_NS + pts_ns),
        captured_source="file",
        captured_uncertainty_ms=0.0,
        arrived_at=utc_text(START_NS + pts_ns),
        width=640,
        height=480,
        dropped_since_last={},
        detections=rows,
    )
    return Outgoing.of(record)


def end(stream_id: str = "gate") -> Outgoing:
    message = EndOfStreamMessage(
        message_id="f" * 32,
        stream_id=stream_id,
        epoch=0,
        seq=99,
        published_at=utc_datetime(START_NS),
        producer=PRODUCER,
        decoded=9,
        published=9,
        dropped={},
        messages={"frame": 9},
        detections={"person": 9},
        tracks={"person": 1},
    )
    return Outgoing.of(message)


def walk(
    seconds: float, fps: float = 10, *, stream_id: str = "gate", plane: bool = True
) -> Iterator[Outgoing]:
    """One track along x at 1.5 m/s and y = 2 m, another that stands at (4, 4)."""
    for seq in range(round(seconds * fps) + 1):
        at_s = seq / fps
        tracks = {1: (0.5 + 1.5 * at_s, 2.0), 2: (4.0, 4.0)}
        yield frame(seq, at_s, tracks, stream_id=stream_id, plane=plane)


class SetClock(SystemClock):
    """Shows what it is set to."""

    now_s = 0.0

    def monotonic_s(self) -> float:
        return self.now_s
