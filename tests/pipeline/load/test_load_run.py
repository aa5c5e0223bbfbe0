"""Four live streams on an engine that is too slow for them: real decoding, threads and time."""

import threading
import time
from pathlib import Path

from detectors.scripted import ScriptedDetector
from pipeline import Pipeline
from pipeline.account import StreamReport
from pipeline.config import BatchConfig
from pipeline.config.file import parse_config
from pipeline.core.clock import SystemClock
from pipeline.core.detections import Detections
from pipeline.core.messages import EndOfStreamMessage, FrameMessage, decode
from pipeline.core.picture import Picture
from pipeline.outlets.outlet import Outlet
from pipeline.outlets.pixels import Pixels
from pipeline.run.flow import Flow
from pipeline.run.route import Route
from pipeline.stream.changes import StreamEnded
from sinks.memory import MemorySink
from tests.pipeline.compose.test_compose import composer
from tests.pipeline.load.load_world import idle_stream
from tests.stages.sources.clips import encode

FPS, SECONDS, FRAME_S = 8, 7, 0.036
PRIORITIES = {"low1": 1, "low2": 1, "high1": 8, "high2": 8}


def left_out(stream: StreamReport) -> int:
    return sum(stream.dropped.values())


async def test_under_load_frames_stay_fresh_and_low_priorities_give_way(tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", FPS * SECONDS, rate=FPS)
    streams = [
        {
            "id": name,
            "source": {"kind": "file", "path": str(clip), "realtime": True},
            "priority": priority,
            "max_age_ms": 500,
            "health": {"enabled": False},
        }
        for name, priority in PRIORITIES.items()
    ]
    cost = threading.Event()

    def slow(picture: Picture) -> Detections:
        cost.wait(FRAME_S)
        return Detections.empty()

    sink = MemorySink()
    config = parse_config({"streams": streams, "sinks": [], "batch": {"size": 2}})
    detector = ScriptedDetector(("person",), slow)
    async with Pipeline(config, detector=detector, sinks=[sink]) as pipeline:
        report = await pipeline.wait()
    told = {stream.stream_id: stream for stream in report.streams}
    for stream in told.values():
        assert stream.decoded == FPS * SECONDS == stream.published + left_out(stream)
        assert set(stream.dropped) <= {"load", "overflow", "late"}
        assert 0 < stream.oldest_s <= 0.5
        assert stream.published >= SECONDS - 1
    assert abs(left_out(told["low1"]) - left_out(told["low2"])) <= 10
    assert abs(left_out(told["high1"]) - left_out(told["high2"])) <= 10
    gave_way = {name: stream.dropped.get("load", 0) for name, stream in told.items()}
    assert min(gave_way["low1"], gave_way["low2"]) > max(gave_way["high1"], gave_way["high2"])
    assert report.load.times >= 1
    assert 0 < report.load.degraded_s < SECONDS + 1
    ends = [message for message in sink.messages if message.kind == "end_of_stream"]
    assert len(ends) == 4
    messages = [decode(outgoing.body) for outgoing in sink.messages]
    frames = [message for message in messages if isinstance(message, FrameMessage)]
    delays_s = [(m.published_at - m.arrived_at).total_seconds() for m in frames]
    assert max(delays_s) < 0.5 + 2 * FRAME_S + 0.5


def test_the_end_is_told_though_the_last_frame_was_late() -> None:
    """It is dropped after the stream has told its end, and gives no result that would tell it."""
    detector = ScriptedDetector(("person",), lambda picture: Detections.empty())
    outlet = Outlet(MemorySink(), 10, "block", SystemClock())
    flow = Flow(detector, BatchConfig(), SystemClock(), [outlet])
    stream = idle_stream(flow)
    account = stream.account
    flow.enter(Route(stream, composer(account), Pixels()))
    seq = account.decode()
    flow.tell(StreamEnded("gate", 0, None))
    publishing = threading.Thread(target=flow.publish.run, daemon=True)
    publishing.start()
    deadline_s = time.monotonic() + 10
    while not flow.publish._ending and time.monotonic() < deadline_s:
        publishing.join(0.001)
    account.drop(seq, "late")
    flow.inbox.close()
    publishing.join(10)
    end = decode(outlet.channel.take(10, 0)[-1].body)
    assert isinstance(end, EndOfStreamMessage)
    assert (end.decoded, end.published, end.dropped) == (1, 0, {"late": 1})
