"""Video files, whole and broken in every way that people bring."""

import logging
import os
import threading
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from pipeline.core.errors import DecodeError, SourceError, SourceUnavailable
from pipeline.core.frame import Frame
from stages.sources.file import FileSource
from stages.sources.reading import Reading
from tests.stages.sources.clips import MakeClip, encode

SECOND_NS = 1_000_000_000


def read(path: Path, **settings: Any) -> list[Frame]:
    return list(FileSource("cam", path, Reading(**settings)).frames())


def read_until_error(path: Path) -> tuple[list[Frame], SourceError]:
    frames: list[Frame] = []
    with pytest.raises(SourceError) as caught:
        frames.extend(FileSource("cam", path).frames())
    return frames, caught.value


def keep_bytes(path: Path, share: float) -> Path:
    data = path.read_bytes()
    cut = path.with_stem(f"{path.stem}-cut")
    cut.write_bytes(data[: int(len(data) * share)])
    return cut


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mkv", "libx264"),
        ("a.avi", "mpeg4"),
        ("a.ts", "libx264"),
        ("a.webm", "libvpx"),
        ("a.flv", "libx264"),
        ("a:b #1%d.mp4", "libx264"),
    ],
)
def test_a_whole_file_gives_every_frame(make_clip: MakeClip, name: str, codec: str) -> None:
    frames = read(make_clip(name, 30, codec=codec))
    assert [frame.info.seq for frame in frames] == list(range(30))
    pts = [frame.info.pts_ns for frame in frames]
    assert all(abs(b - a - SECOND_NS // 25) <= 1_000_000 for a, b in pairwise(pts))
    assert all(frame.image.shape == (48, 64, 3) for frame in frames)
    assert all(frame.image.flags.c_contiguous for frame in frames)


def test_epoch_and_seq_start_where_they_are_told(make_clip: MakeClip) -> None:
    frames = read(make_clip("a.mp4", 3), epoch=2, first_seq=100)
    assert [(frame.info.epoch, frame.info.seq) for frame in frames] == [
        (2, 100),
        (2, 101),
        (2, 102),
    ]


@pytest.mark.parametrize(("name", "expected"), [("a.mp4", 30), ("a.mkv", 30), ("a.ts", None)])
def test_frame_count_is_known_after_the_first_frame(
    make_clip: MakeClip, name: str, expected: int | None
) -> None:
    source = FileSource("cam", make_clip(name, 30))
    next(source.frames())
    if expected is not None:
        assert source.frame_count == expected
    else:  # from duration and rate, a frame off is fair
        assert source.frame_count in {29, 30, 31}


def test_capture_time_is_creation_time_plus_media_time(make_clip: MakeClip) -> None:
    frames = read(make_clip("a.mp4", 3, created="2024-05-06T07:08:09.000000Z"))
    start = int(datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC).timestamp()) * SECOND_NS
    assert [frame.info.captured_ns - start for frame in frames] == [0, 40_000_000, 80_000_000]
    assert {frame.info.clock for frame in frames} == {"container"}


def test_without_creation_time_the_file_was_finished_at_its_modification(
    make_clip: MakeClip,
) -> None:
    path = make_clip("a.mp4", 25)
    os.utime(path, ns=(0, 1_700_000_000 * SECOND_NS))
    first = read(path)[0].info
    assert (first.clock, first.captured_ns) == ("file", 1_699_999_999 * SECOND_NS)


def test_capped_rate_leaves_gaps_in_seq_and_counts_them(make_clip: MakeClip) -> None:
    source = FileSource("cam", make_clip("a.mp4", 50), Reading(fps=5))
    seqs = [frame.info.seq for frame in source.frames()]
    assert seqs == list(range(0, 50, 5))
    assert (source.counts.decoded_total, source.counts.skipped_total) == (50, 40)


class StillClock:
    """Time that does not pass."""

    def monotonic_s(self) -> float:
        return 0.0

    def utc_ns(self) -> int:
        return 0


def test_real_time_holds_a_frame_back_until_closed(make_clip: MakeClip) -> None:
    source = FileSource(
        "cam", make_clip("a.mp4", 25, rate=1), Reading(clock=StillClock()), realtime=True
    )
    frames = source.frames()
    assert next(frames).info.seq == 0
    rest: list[Frame] = []
    reader = threading.Thread(target=lambda: rest.extend(frames), daemon=True)
    reader.start()
    source.close()
    reader.join(5)
    assert not reader.is_alive()
    assert rest == []


def test_close_ends_without_error_and_may_come_twice(make_clip: MakeClip) -> None:
    source = FileSource("cam", make_clip("a.mp4", 30))
    frames = source.frames()
    next(frames)
    source.close()
    source.close()
    assert list(frames) == []


def test_rotated_video_comes_upright(make_clip: MakeClip) -> None:
    image = read(make_clip("a.mp4", 1, turn=90))[0].image
    plain = read(make_clip("b.mp4", 1))[0].image
    assert image.shape == (64, 48, 3)
    assert (image == plain.swapaxes(0, 1)[::-1]).all()


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match=r"stream 'cam': .*gone\.mp4 does not exist"):
        read(tmp_path / "gone.mp4")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="is a folder, not a video file"):
        read(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_no_permission(make_clip: MakeClip) -> None:
    path = make_clip("a.mp4", 2)
    path.chmod(0)
    with pytest.raises(SourceUnavailable, match="cannot be read: Permission denied"):
        read(path)


def test_name_too_long(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="cannot be read: File name too long"):
        read(tmp_path / ("x" * 300))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("empty.mp4", b"", r"is empty \(0 bytes\)"),
        ("text.mp4", b"dear diary, " * 400, "is not a video"),
        ("text.txt", b"dear diary, " * 400, "is a text file, not a video"),
        ("noise.mp4", bytes(range(256)) * 64, "is not a video"),
    ],
)
def test_what_is_no_video(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DecodeError, match=why) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sound_only(sound_only: Path) -> None:
    with pytest.raises(DecodeError, match="holds only audio, no video stream"):
        read(sound_only)


@pytest.mark.parametrize("share", [0.3, 0.97])
def test_header_at_the_end_is_lost_with_it(make_clip: MakeClip, share: float) -> None:
    with pytest.raises(DecodeError, match="its header is missing because it was cut off"):
        read(keep_bytes(make_clip("a.mp4", 50), share))


@pytest.mark.parametrize("share", [0.5, 0.7, 0.98])
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.flv", "libx264")])
def test_truncated_gives_what_decodes_then_says_so(
    make_clip: MakeClip, name: str, codec: str, share: float
) -> None:
    whole = make_clip(name, 50, codec=codec, faststart=name.endswith("mp4"))
    frames, error = read_until_error(keep_bytes(whole, share))
    assert isinstance(error, DecodeError)
    assert 0 < len(frames) < 50
    assert f"is truncated or damaged after {len(frames)} frames" in str(error)


def test_truncated_matroska_is_found_by_its_announced_duration(make_clip: MakeClip) -> None:
    frames, error = read_until_error(keep_bytes(make_clip("a.mkv", 100), 0.5))
    assert f"truncated or damaged after {len(frames)} frames" in str(error)
    assert len(frames) > 10


def test_cut_between_two_packets_is_found_by_the_frame_count(make_clip: MakeClip) -> None:
    """No packet is cut here: the whole second half of the data is gone."""

    path = make_clip("a.mp4", 50, faststart=True)
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][30]
        assert packet.pos is not None
        end = packet.pos
    path.write_bytes(path.read_bytes()[:end])
    frames, error = read_until_error(path)
    assert "truncated or damaged" in str(error)
    assert 20 < len(frames) <= 30


def test_damage_in_the_middle_costs_frames_not_the_stream(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    path = make_clip("a.mp4", 50, size=(320, 240))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 1500] = b"\xff" * 1500
    path.write_bytes(data)
    source = FileSource("cam", path)
    with caplog.at_level(logging.WARNING):
        frames = list(source.frames())
    assert source.counts.corrupt_total >= 1
    counts = source.counts
    assert len(frames) == counts.decoded_total - counts.withheld_total >= 40
    seqs = [frame.info.seq for frame in frames]
    assert seqs == sorted(set(seqs))
    assert seqs[-1] == counts.decoded_total - 1
    assert "damaged frames" in caplog.text


def test_an_edit_list_is_no_truncation(make_clip: MakeClip) -> None:
    """The first frames are in the file, hidden: fewer come out than are announced."""
    frames = read(make_clip("a.mp4", 50, shift=-15))
    assert 30 <= len(frames) <= 50


def test_a_playlist_in_disguise_opens_nothing_else(tmp_path: Path, make_clip: MakeClip) -> None:
    path = tmp_path / "list.mp4"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n")
    with pytest.raises(DecodeError):
        read(path)


def test_real_clips_raise_no_false_alarm(shared_dir: Path) -> None:
    clips = sorted((shared_dir / "clips").glob("jamcam/*.mp4"))
    assert clips
    for clip in clips:
        source = FileSource("cam", clip, Reading(fps=1))
        assert sum(1 for _ in source.frames()) >= 9
        assert source.counts.decoded_total == source.frame_count
        assert source.counts.corrupt_total == 0


def test_a_playlist_in_disguise_plays_no_other_file(tmp_path: Path) -> None:
    encode(tmp_path / "private.mp4", 3)
    disguised = tmp_path / "clip.mp4"
    disguised.write_text("ffconcat version 1.0\nfile private.mp4\n")
    with pytest.raises(DecodeError, match=r"clip\.mp4 is a playlist \(concat\)"):
        next(FileSource("a", disguised).frames())


def test_a_video_of_one_pixel_shows_nothing(tmp_path: Path) -> None:
    clip = encode(tmp_path / "pixel.mkv", 3, size=(1, 1), codec="ffv1", pix_fmt="bgr0")
    with pytest.raises(DecodeError, match="1x1 pixels are too few"):
        next(FileSource("a", clip).frames())
