"""Which cases stand at which points."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.bench.cameras import Cameras, encode_chunks
from pipeline.bench.clips import FPS, size_of
from pipeline.bench.job import Point
from pipeline.bench.peers import Peer
from pipeline.bench.plan import PeerModel, Plan, parts_of
from pipeline.core.errors import ConfigError


def plan(folder: Path, **how: Any) -> Plan:
    base: dict[str, Any] = {"sizes": ((64, 64), (128, 64)), "streams": (1, 4), "frames": 100}
    return Plan(model=Path("model.onnx"), folder=folder, **(base | how))


def test_every_axis_is_varied_alone(tmp_path: Path) -> None:
    found = dict(plan(tmp_path, batches=(4, 8), detections=(0, 50)).points())
    base = Point(1, 64, 64, 4, 0)
    assert list(found) == [
        base, Point(4, 64, 64, 4, 0), Point(1, 128, 64, 4, 0), Point(1, 64, 64, 8, 0),
        Point(1, 64, 64, 4, 50),
    ]  # fmt: skip
    assert found[base] == frozenset(plan(tmp_path).parts)
    assert found[Point(1, 64, 64, 4, 50)] == {"no_model"}


def test_streams_share_the_frames_and_peers_get_what_we_get(tmp_path: Path) -> None:
    peer = Peer("p", "Peer", "MIT", tmp_path, tmp_path, {"a": {"x": "1"}, "b": {"x": "2"}})
    made = plan(
        tmp_path, parts=("no_model", "pipeline", "peers"), peers=(peer,), threads=3,
        peer_models=(PeerModel("stored model", Path("stored.onnx")),),
    )  # fmt: skip
    point, parts = list(made.points())[1]
    cases = made.cases(point, parts)
    assert [case.subject for case in cases] == [
        "pipeline, no model", "pipeline", "Peer (a), no model", "Peer (a), stored model",
        "Peer (b), no model", "Peer (b), stored model",
    ]  # fmt: skip
    ours, theirs = cases[1].job, cases[3].job
    assert (ours.frames, len(ours.clips)) == (25, 4)
    assert (ours.clips, ours.frames, ours.threads) == (theirs.clips, theirs.frames, theirs.threads)
    assert theirs.settings == {"x": "1"}
    assert size_of(Path(ours.clips[0])) == (64, 64)


def test_a_part_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--only: decoding is none of decode, prepare"):
        parts_of(["decode", "decoding"])
    with pytest.raises(ConfigError, match=r"--clip: .*not a video"):
        size_of(tmp_path / "missing.mp4")


def test_latency_is_from_the_sending_of_the_same_picture() -> None:
    with Cameras(encode_chunks(64, 64, 3)) as cameras:
        cameras.sent_ns.update({(0, 0): 0, (0, 1): 40_000_000, (1, 1): 41_000_000})
        times = [(0, 0, 5_000_000), (0, 1, 50_000_000), (0, 1, 90_000_000), (1, 1, 61_000_000)]
        assert cameras.latencies_ms(times, 1) == [10.0, 20.0]
        cameras.reset()
        assert cameras.latencies_ms(times, 0) == []
        assert cameras.frames == 3
    assert FPS == 25
