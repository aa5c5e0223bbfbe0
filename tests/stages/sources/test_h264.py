"""Lost pictures of H.264 are noticed, and none is invented."""

from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.sources.h264 import FrameNumbers

STREAMS = {
    "baseline": {"profile": "baseline", "x264-params": "keyint=20:scenecut=0"},
    "high": {"profile": "high", "x264-params": "bframes=0:keyint=1000:ref=4"},
    "reordered": {"x264-params": "bframes=3:b-pyramid=normal:keyint=20"},
    "open": {"x264-params": "bframes=2:keyint=15:open-gop=1"},
    "slices": {"x264-params": "slices=3:bframes=0:keyint=20:scenecut=0"},
    "scaled": {"x264-params": "cqm=jvt:bframes=0:keyint=20:scenecut=0"},
}


def packets(path: Path, options: dict[str, str], pix_fmt: str = "yuv420p") -> list[bytes]:
    """60 pictures as a camera sends them: Annex B, parameter sets before each key frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "fast", **options})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        for number in range(60):
            frame = av.VideoFrame(64, 48, "gray")
            frame.planes[0].update(bytes([number * 4]) * frame.planes[0].buffer_size)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        annex_b = av.BitStreamFilterContext("h264_mp4toannexb", video)
        found = [p for packet in container.demux(video) for p in annex_b.filter(packet)]
        return [bytes(packet) for packet in found if packet.size]


def may_be_missed(packet: bytes) -> bool:
    """Nothing refers to it, or nothing before it matters to what follows."""
    units = [unit for unit in packet.split(b"\0\0\1")[1:] if unit[0] & 31 in (1, 5)]
    return units[0][0] >> 5 == 0 or units[0][0] & 31 == 5


@pytest.mark.parametrize("name", STREAMS)
def test_nothing_is_missed_where_nothing_is_missing(name: str, tmp_path: Path) -> None:
    sent = packets(tmp_path / "a.mp4", STREAMS[name])
    numbers = FrameNumbers()
    assert len(sent) == 60
    assert not any(numbers.lost(packet) for packet in sent)


@pytest.mark.parametrize("name", STREAMS)
def test_every_picture_that_others_need_is_missed(name: str, tmp_path: Path) -> None:
    sent = packets(tmp_path / "a.mp4", STREAMS[name])
    tried = 0
    for gone in range(1, len(sent) - 1):
        if may_be_missed(sent[gone]):
            continue
        numbers = FrameNumbers()
        found = [numbers.lost(packet) for packet in sent[:gone] + sent[gone + 1 :]]
        if sent[gone + 1].startswith(b"\0\0\0\1\x67"):  # a key frame follows
            continue
        assert found.index(True) >= gone
        tried += 1
    assert tried > 15


def test_colour_without_subsampling(tmp_path: Path) -> None:
    sent = packets(tmp_path / "a.mp4", {"x264-params": "bframes=0"}, "yuv444p")
    numbers = FrameNumbers()
    assert [numbers.lost(packet) for packet in sent[:5] + sent[6:8]] == [False] * 5 + [True, False]


@given(st.lists(st.binary(max_size=60), max_size=5), st.integers(0, 255))
def test_no_bytes_confuse_it(parts: list[bytes], kind: int) -> None:
    numbers = FrameNumbers(b"\0\0\1" + bytes([kind]))
    numbers.lost(b"\0\0\1".join(parts))
    numbers.lost(b"\0\0\1\x67" + b"".join(parts))
