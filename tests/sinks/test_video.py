"""Annotated video, read back with the decoder."""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.core.arrays import U8
from pipeline.core.errors import Rejected, SinkUnavailable
from pipeline.core.frame import FrameInfo
from sinks.video import VideoSink

MS = 1_000_000


def _info(stream_id: str, epoch: int, seq: int, pts_ms: int, size: tuple[int, int]) -> FrameInfo:
    width, height = size
    return FrameInfo(
        stream_id=stream_id, epoch=epoch, seq=seq, pts_ns=pts_ms * MS, captured_ns=0, arrived_ns=0,
        clock="file", uncertainty_ns=0, width=width, height=height,
    )  # fmt: skip


def _grey(level: int, size: tuple[int, int]) -> U8:
    return np.full((size[1], size[0], 3), level, np.uint8)


def _write(
    sink: VideoSink,
    times: Sequence[tuple[int, int]],
    size: tuple[int, int] = (64, 48),
    stream_id: str = "gate",
) -> None:
    """One picture for each (epoch, ms), ever lighter."""
    for seq, (epoch, pts_ms) in enumerate(times):
        info = _info(stream_id, epoch, seq, pts_ms, size)
        sink.write_picture(info, _grey(20 + 20 * seq, size))


def _write_all(sink: VideoSink, infos: Sequence[FrameInfo], image: U8) -> None:
    for info in infos:
        sink.write_picture(info, image)
    sink.end_stream(infos[0].stream_id)


def _read(path: Path) -> tuple[list[int], list[U8]]:
    """Times in ms and pictures of a file."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        assert container.streams.video[0].codec_context.name == "h264"
        assert {frame.format.name for frame in frames} == {"yuv420p"}
        times = [round((frame.time or 0) * 1000) for frame in frames]
        return times, [frame.to_ndarray(format="rgb24").astype(np.uint8) for frame in frames]


def test_times_of_a_variable_frame_rate_stay(tmp_path: Path) -> None:
    sink = VideoSink(str(tmp_path / "new" / "{stream_id}.mp4"))
    sink.open()
    _write(sink, [(0, 5000), (0, 5040), (0, 5300), (0, 5301), (0, 7000)])
    sink.close()
    times, pictures = _read(tmp_path / "new" / "gate.mp4")
    assert times == [0, 40, 300, 301, 2000]
    levels = [round(float(picture.mean())) for picture in pictures]
    assert levels == pytest.approx([20, 40, 60, 80, 100], abs=4)


def test_time_goes_on_over_epochs_and_steps_back(tmp_path: Path) -> None:
    sink = VideoSink(str(tmp_path / "{stream_id}.mp4"))
    sink.open()
    _write(sink, [(0, 100), (0, 200), (1, 0), (1, 100), (1, 50), (1, 150), (2, 90_000)])
    sink.close()
    assert _read(tmp_path / "gate.mp4")[0] == [0, 100, 200, 300, 400, 500, 600]


@pytest.mark.parametrize("size", [(63, 47), (64, 47), (63, 48), (1, 1)])
def test_odd_sizes_grow_by_one(tmp_path: Path, size: tuple[int, int]) -> None:
    sink = VideoSink(str(tmp_path / "{stream_id}.mp4"))
    sink.open()
    _write(sink, [(0, 0), (0, 40)], size)
    sink.close()
    (_, second) = _read(tmp_path / "gate.mp4")[1]
    assert second.shape == (size[1] + size[1] % 2, size[0] + size[0] % 2, 3)
    assert second.mean() == pytest.approx(40, abs=4)


def test_another_size_is_scaled_to_the_first(tmp_path: Path) -> None:
    sink = VideoSink(str(tmp_path / "{stream_id}.mp4"))
    sink.open()
    _write(sink, [(0, 0)], (64, 48))
    sink.write_picture(_info("gate", 1, 1, 40, (101, 31)), _grey(200, (101, 31)))
    sink.close()
    (_, second) = _read(tmp_path / "gate.mp4")[1]
    assert second.shape == (48, 64, 3)
    assert second.mean() == pytest.approx(200, abs=4)


def test_a_file_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    sink = VideoSink(str(tmp_path / "{stream_id}.mp4"))
    sink.open()
    assert list(tmp_path.iterdir()) == []
    _write(sink, [(0, 0), (0, 40)], stream_id="a/b")
    _write(sink, [(0, 0)], stream_id="yard")
    assert {path.name.split(".", 1)[1] for path in tmp_path.iterdir()} == {"part.mp4"}
    sink.end_stream("yard")
    sink.end_stream("yard")
    sink.end_stream("nobody")
    assert (tmp_path / "yard.mp4").exists()
    sink.close()
    sink.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 2
    assert names[0].startswith("a_b-")
    assert names[1] == "yard.mp4"


def test_one_path_is_for_one_stream(tmp_path: Path) -> None:
    sink = VideoSink(str(tmp_path / "all.mp4"))
    sink.open()
    _write(sink, [(0, 0)], stream_id="gate")
    with pytest.raises(Rejected, match="two streams: 'gate' and 'yard'"):
        _write(sink, [(0, 0)], stream_id="yard")
    sink.close()
    assert _read(tmp_path / "all.mp4")[0] == [0]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sink = VideoSink(str(tmp_path / "file" / "{stream_id}.mp4"))
    with pytest.raises(SinkUnavailable, match=r"Not a directory|File exists"):
        sink.open()


def test_a_disk_that_fails_while_writing(tmp_path: Path) -> None:
    (tmp_path / "gate.part.mp4").symlink_to("/dev/full")
    sink = VideoSink(str(tmp_path / "{stream_id}.mp4"))
    sink.open()
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    infos = [_info("gate", 0, seq, seq * 40, (640, 480)) for seq in range(100)]
    with pytest.raises(SinkUnavailable, match=r"gate\.mp4: No space left"):
        _write_all(sink, infos, noise)
    sink.close()
    assert not (tmp_path / "gate.mp4").exists()


def test_crf_out_of_range() -> None:
    with pytest.raises(ValueError, match="crf 99"):
        VideoSink("x.mp4", crf=99)
