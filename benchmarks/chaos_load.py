"""The process that chaos kills: streams of messages through the real outlet and spool into a sink.

    python -m benchmarks.chaos_load REQUEST.json

`REQUEST.json` holds a `Request`. Writes `STATUS` every 0.2 s; the numbers of frames offered are in
the file `offered`, mapped to memory, so that they are true after kill -9. SIGTERM ends the streams
as a pipeline would, and the outlet then has `drain_timeout_s` to deliver.
"""

import json
import mmap
import signal
import struct
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.build.outlets import make_outlets
from pipeline.config import PipelineConfig
from pipeline.core.clock import SystemClock, utc_datetime, utc_text
from pipeline.core.frame_record import AnyMessage, DetectionRow, FrameRecord, encode_producer
from pipeline.core.messages import (
    EndOfStreamMessage,
    Kind,
    Model,
    Producer,
    TrackEndMessage,
    message_id,
    track_uid,
)
from sinks.base import Outgoing

DETECTIONS, DROP_EVERY, TRACK_FRAMES = 6, 10, 50
_STATUS_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Request:
    """`sink` is a section of `sinks`; `rate_hz` frames a second of all `streams` together."""

    run_id: str
    sink: dict[str, Any]
    spool: str
    folder: str
    streams: int = 4
    rate_hz: float = 500.0
    drain_timeout_s: float = 120.0


class Camera:
    """One stream: every tenth frame is dropped, a track ends every fiftieth."""

    def __init__(self, stream_id: str, producer: Producer) -> None:
        self.stream_id, self._producer = stream_id, producer
        self._encoded = encode_producer(producer)
        self._clock = SystemClock()
        self._told: dict[Kind, int] = {"frame": 0, "track_end": 0}
        self.decoded = 0
        self._rows = [
            DetectionRow("person", 0, 0.87, [40.25 * i, 210.5, 40.25 * i + 33, 310.75], i + 1)
            for i in range(DETECTIONS)
        ]

    def next(self) -> list[AnyMessage]:
        """The messages of the next frame that is not dropped."""
        dropped = int(self.decoded % DROP_EVERY == DROP_EVERY - 1)
        seq = self.decoded + dropped
        self.decoded = seq + 1
        now = utc_text(self._clock.utc_ns())
        self._told["frame"] += 1
        frame = FrameRecord(
            message_id=self._id(seq, "frame"), stream_id=self.stream_id, epoch=0, seq=seq,
            published_at=now, producer=self._encoded, pts_ns=seq * 40_000_000, captured_at=now,
            captured_source="arrival", captured_uncertainty_ms=20.0, arrived_at=now, width=1920,
            height=1080, dropped_since_last={"overflow": 1} if dropped else {},
            detections=self._rows,
        )  # fmt: skip
        track_id = self._told["frame"] // TRACK_FRAMES
        return [frame] if self._told["frame"] % TRACK_FRAMES else [frame, self._over(seq, track_id)]

    def _over(self, seq: int, track_id: int) -> TrackEndMessage:
        self._told["track_end"] += 1
        return TrackEndMessage(
            **self._envelope(seq, "track_end", str(track_id)),
            track_id=track_id, track_uid=track_uid(self._producer.run_id, self.stream_id, track_id),
            label="person", class_id=0, first_seq=0, last_seq=seq,
            captured_at=utc_datetime(self._clock.utc_ns()),
        )  # fmt: skip

    def end(self) -> EndOfStreamMessage:
        """Its account."""
        frames = self._told["frame"]
        dropped = self.decoded - frames
        return EndOfStreamMessage(
            **self._envelope(self.decoded - 1, "end_of_stream"),
            decoded=self.decoded, published=frames,
            dropped={"overflow": dropped} if dropped else {},
            messages={**self._told, "end_of_stream": 1},
        )  # fmt: skip

    def _envelope(self, seq: int, kind: Kind, sub: str = "") -> dict[str, Any]:
        return {
            "message_id": self._id(seq, kind, sub),
            "stream_id": self.stream_id,
            "epoch": 0,
            "seq": seq,
            "published_at": utc_datetime(self._clock.utc_ns()),
            "producer": self._producer,
        }

    def _id(self, seq: int, kind: Kind, sub: str = "") -> str:
        return message_id(self._producer.run_id, self.stream_id, 0, seq, kind, sub)


def main() -> int:
    """0 when all was delivered or is left in the spool."""
    request = Request(**json.loads(Path(sys.argv[1]).read_text()))
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    config = PipelineConfig.model_validate(
        {
            "streams": [{"id": "chaos", "source": {"kind": "street", "seed": 1}}],
            "sinks": [request.sink],
            "spool": {"folder": request.spool},
            "drain_timeout_s": request.drain_timeout_s,
        }
    )
    (outlet,) = make_outlets(config, SystemClock())
    outlet.open()
    threads = [threading.Thread(target=loop, name=name) for name, loop in outlet.loops]
    for thread in threads:
        thread.start()
    status = Path(request.folder, "status")
    told = threading.Thread(target=_tell, args=(outlet, status, threads), daemon=True)
    told.start()
    _offer(request, outlet, stopped)
    outlet.channel.close()
    for thread in threads:
        thread.join()
    told.join()
    outlet.close()
    return 0


def _tell(outlet: Any, status: Path, threads: list[threading.Thread]) -> None:
    """The outlet's account into a file, until its threads have ended."""
    over = False
    while not over:
        over = not any(thread.is_alive() for thread in threads)
        fresh = status.with_name("status.new")
        fresh.write_text(json.dumps(asdict(outlet.report)))
        fresh.replace(status)
        if not over:
            threads[-1].join(_STATUS_EVERY_S)


def _offer(request: Request, outlet: Any, stopped: threading.Event) -> None:
    model = Model(name="none", sha256="0" * 64, precision="fp32", engine="none")
    producer = Producer(instance="chaos", version="0", run_id=request.run_id, model=model)
    cameras = [Camera(f"camera-{n}", producer) for n in range(request.streams)]
    offered, size = Path(request.folder, "offered"), 8 * request.streams
    offered.write_bytes(bytes(size))
    began_s, frames = time.monotonic(), 0
    with offered.open("r+b") as file, mmap.mmap(file.fileno(), size) as counts:
        while not stopped.is_set():
            place = frames % request.streams
            for message in cameras[place].next():
                outlet.offer(message, Outgoing.of(message))
            struct.pack_into("<q", counts, 8 * place, cameras[place].decoded)
            frames += 1
            ahead_s = frames / request.rate_hz - (time.monotonic() - began_s)
            if ahead_s > 0.01:
                stopped.wait(ahead_s)
    for camera in cameras:
        last = camera.end()
        outlet.offer(last, Outgoing.of(last))


if __name__ == "__main__":
    sys.exit(main())
