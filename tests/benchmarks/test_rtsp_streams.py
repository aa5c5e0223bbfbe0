"""The benchmark of live cameras: its camera is one, and its figures are right."""

import os
import sys
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from benchmarks.cpu_time import machine_cpu_s, tree_cpu_s
from benchmarks.rtsp_streams.account import Entry, account, latencies
from pipeline.core.messages import FrameMessage
from stages.sources.rtsp import RtspSource
from tests.core.golden_messages import golden
from tests.services import numbered
from tests.services.servers import Server, free_port

FRAMES, FPS = 10, 50
BEGAN = datetime(2026, 11, 29, tzinfo=UTC)


def test_the_camera_loops_whole_pictures_and_tells_when_they_were_taken(tmp_path: Path) -> None:
    clip = numbered.make(tmp_path / "clip.mp4", FRAMES, size=(640, 480), fps=FPS)
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.rtsp_streams.server", "--port", str(port)]
    server = Server([*command, f"c={clip}"], port, tmp_path, lambda server: server.said("ready"))
    server.start()
    try:
        source = RtspSource("c", f"rtsp://127.0.0.1:{port}/c")
        frames = list(islice(source.frames(), 3 * FRAMES))
    finally:
        server.stop()
    numbers = [numbered.number_in(frame.image) for frame in frames]
    assert numbers == [number % FRAMES for number in range(3 * FRAMES)]
    assert source.counts.corrupt_total == 0
    assert frames[-1].info.clock == "rtcp"
    delays_ms = [(f.info.arrived_ns - f.info.captured_ns) / 1e6 for f in frames if f.info.seq > 20]
    assert all(0 <= delay_ms < 2000 for delay_ms in delays_ms)
    times_ns = [frame.info.pts_ns for frame in frames]
    assert {round((b - a) / 1e6) for a, b in pairwise(times_ns[2:])} == {1000 // FPS}


def entry(stream_id: str, seq: int, late_ms: float, dropped: dict[str, int]) -> Entry:
    captured = BEGAN + timedelta(milliseconds=40 * seq)
    at = captured + timedelta(milliseconds=late_ms)
    fields: dict[str, Any] = {
        "stream_id": stream_id, "seq": seq, "captured_at": captured, "captured_source": "rtcp",
        "arrived_at": captured, "published_at": at, "dropped_since_last": dropped,
    }  # fmt: skip
    return Entry(FRAME.model_copy(update=fields), at.timestamp())


FRAME = next(each for each in golden() if isinstance(each, FrameMessage))


def test_the_account_is_of_the_span_and_holds() -> None:
    entries = [entry("a", seq, 100, {"overflow": 1} if seq == 3 else {}) for seq in (0, 1, 3, 4)]
    entries += [entry("b", seq, 10 * seq, {}) for seq in range(5)]
    entries.append(entry("b", 5000, 9999, {}))
    found = account(entries, BEGAN, BEGAN + timedelta(seconds=1))
    assert (found["decoded"], found["published"], found["dropped"]) == (10, 9, {"overflow": 1})
    assert found["identity_holds"]
    assert found["captured_by"] == {"rtcp": 9}
    assert found["capture_to_topic_ms"]["most"] == 100
    assert not account(entries[:2] + entries[3:4], BEGAN, BEGAN + timedelta(seconds=1))[
        "identity_holds"
    ]


def test_latencies_are_percentiles() -> None:
    assert latencies([float(value) for value in range(101)]) == {
        "p50": 50.0, "p95": 95.0, "p99": 99.0, "most": 100.0,
    }  # fmt: skip
    assert latencies([]) == {}


def test_what_a_process_uses_the_machine_was_busy_for_and_not_idle() -> None:
    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    (busy_s, idle_s), mine_s = machine_cpu_s(), tree_cpu_s(os.getpid())
    while tree_cpu_s(os.getpid()) - mine_s < 0.2:
        pass
    (busy_then_s, idle_then_s), used_s = machine_cpu_s(), tree_cpu_s(os.getpid()) - mine_s
    assert busy_then_s - busy_s >= used_s - 4 * tick_s
    assert idle_then_s >= idle_s
