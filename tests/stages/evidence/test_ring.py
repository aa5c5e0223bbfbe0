"""The packet buffer: bounds, sections, and where clips begin and end. Packets are real."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from av.packet import Packet
from av.video.stream import VideoStream

from pipeline.core.clock import SECOND_NS, to_ns
from pipeline.core.frame import FrameInfo
from stages.evidence.base import ClipJob
from stages.evidence.files import write
from stages.evidence.ring import LONGEST_LAG_NS, PacketRing
from stages.evidence.tap import PacketTap
from tests.services import crossing, numbered

FRAME_NS = SECOND_NS // numbered.FPS
KEYS = 10


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered.make(tmp_path_factory.mktemp("ring") / "plain.mp4")


def packets(clip: Path) -> Iterator["Packet[VideoStream]"]:
    with av.open(str(clip)) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.size:
                yield packet


def info(number: int, epoch: int = 0) -> FrameInfo:
    return FrameInfo(
        stream_id="gate", epoch=epoch, seq=number, pts_ns=number * FRAME_NS, captured_ns=0,
        arrived_ns=0, clock="file", uncertainty_ns=0, width=160, height=96,
    )  # fmt: skip


class World:
    """A ring, the clips that came out of it, and a decoder without delay."""

    def __init__(self, before_s: float = 1, after_s: float = 1, **limits: int) -> None:
        self.jobs: list[ClipJob] = []
        bounds = {"most_bytes": 1 << 30, "most_open": 8, **limits}
        self.ring = PacketRing(
            round(before_s * SECOND_NS), round(after_s * SECOND_NS), submit=self.jobs.append,
            **bounds,
        )  # fmt: skip

    def feed(
        self, tap: PacketTap, clip: Path, numbers: range, *, epoch: int = 0, published: bool = True
    ) -> None:
        for packet in packets(clip):
            assert packet.pts is not None
            shown_ns = to_ns(packet.pts, packet.time_base)
            if shown_ns // FRAME_NS in numbers:
                tap.packet(packet, shown_ns)
                frame = info(shown_ns // FRAME_NS, epoch)
                self.ring.frame(frame)
                if published:
                    self.ring.published(frame)

    def numbers(self, folder: Path, job: ClipJob) -> list[int | None]:
        write(folder, job)
        return crossing.numbers_of(folder / job.path)


def test_a_clip_begins_with_the_key_frame_before_and_ends_in_time(
    clip: Path, tmp_path: Path
) -> None:
    world = World(before_s=1.5, after_s=0.8)
    tap = world.ring.connect()
    world.feed(tap, clip, range(43))
    assert world.ring.open_clip("gate/a.mp4", info(42)) is None
    world.feed(tap, clip, range(43, 51))
    assert world.jobs == []
    world.feed(tap, clip, range(51, 60))
    assert world.numbers(tmp_path, world.jobs[0]) == list(range(20, 51))


def test_the_buffer_keeps_one_group_of_pictures_more_than_asked(clip: Path) -> None:
    world = World(before_s=1)
    tap = world.ring.connect()
    size_bytes = [packet.size for packet in packets(clip)]
    for number in range(100):
        world.feed(tap, clip, range(number, number + 1))
        oldest = max(0, (number - 1 - 10) // KEYS * KEYS)  # told of the frame before so far
        assert world.ring.held_bytes == sum(size_bytes[oldest : number + 1])


def test_the_buffer_waits_for_frames_that_are_published_late(clip: Path, tmp_path: Path) -> None:
    world = World(before_s=1, after_s=0.5)
    tap = world.ring.connect()
    world.feed(tap, clip, range(100), published=False)
    assert world.ring.open_clip("gate/a.mp4", info(15)) is None
    assert world.numbers(tmp_path, world.jobs[0]) == list(range(0, 21))


def test_bytes_are_bounded_whatever_happens(clip: Path) -> None:
    most = 3 * max(packet.size for packet in packets(clip))
    world = World(before_s=60, most_bytes=most)
    tap = world.ring.connect()
    for number in range(100):
        world.feed(tap, clip, range(number, number + 1), published=False)
        assert world.ring.held_bytes <= most


def test_seconds_are_bounded_where_nothing_is_published(clip: Path) -> None:
    """A frame of the far past is published, then none: the packets of a minute stay, no more."""
    world = World(before_s=1, after_s=1)
    tap = world.ring.connect()
    kept = []
    for turn in range(40):
        for packet in packets(clip):
            assert packet.pts is not None
            assert packet.dts is not None
            shift = round(turn * 100 / numbered.FPS / packet.time_base)
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            tap.packet(packet, to_ns(packet.pts, packet.time_base))
        kept.append(world.ring.held_bytes)
    whole_bytes = sum(packet.size for packet in packets(clip))
    span_s = 2 + LONGEST_LAG_NS / SECOND_NS + KEYS / numbered.FPS
    assert max(kept) <= whole_bytes * (span_s / 10 + 1)
    assert kept[-1] == kept[-2]


def test_what_does_not_fit_ends_a_clip_early(clip: Path, tmp_path: Path) -> None:
    """The buffer does not hold what the clip wants: it is cut, and counted."""
    sizes = [packet.size for packet in packets(clip)]
    world = World(before_s=0, after_s=8, most_bytes=sum(sizes[:45]))
    tap = world.ring.connect()
    world.feed(tap, clip, range(11))
    assert world.ring.open_clip("gate/a.mp4", info(10)) is None
    world.feed(tap, clip, range(11, 100))
    assert [job.is_cut for job in world.jobs] == [True]
    found = world.numbers(tmp_path, world.jobs[0])
    assert found == list(range(10, 10 + len(found)))
    assert 20 < len(found) < 80


def test_no_clip_without_a_key_frame_before_the_event(clip: Path) -> None:
    world = World()
    tap = world.ring.connect()
    world.feed(tap, clip, range(5, 16))
    assert world.ring.open_clip("gate/a.mp4", info(8)) == "no_key_frame"
    assert world.ring.open_clip("gate/b.mp4", info(12)) is None


def test_only_so_many_clips_are_open(clip: Path) -> None:
    world = World(most_open=2)
    tap = world.ring.connect()
    world.feed(tap, clip, range(20))
    said = [world.ring.open_clip(f"gate/{n}.mp4", info(19)) for n in range(3)]
    assert said == [None, None, "too_many_clips"]
    world.feed(tap, clip, range(20, 40))
    assert len(world.jobs) == 2
    assert world.ring.open_clip("gate/3.mp4", info(39)) is None


def test_a_new_connection_ends_clips_and_has_its_own(clip: Path, tmp_path: Path) -> None:
    """Both count their time from 0: the epoch tells them apart."""
    world = World(before_s=1, after_s=30)
    world.feed(world.ring.connect(), clip, range(30))
    assert world.ring.open_clip("gate/a.mp4", info(25)) is None
    tap = world.ring.connect()
    assert world.numbers(tmp_path, world.jobs[0]) == list(range(10, 30))
    world.feed(tap, clip, range(100), epoch=1)
    assert world.ring.open_clip("gate/b.mp4", info(99, epoch=1)) is None
    assert world.ring.open_clip("gate/c.mp4", info(28)) == "no_key_frame"  # trimmed by now
    world.ring.end()
    assert world.numbers(tmp_path, world.jobs[1]) == list(range(80, 100))
    assert world.ring.held_bytes == 0


def test_events_of_frames_on_their_way_when_the_connection_was_lost(
    clip: Path, tmp_path: Path
) -> None:
    world = World(before_s=0.5, after_s=30)
    tap = world.ring.connect()
    world.feed(tap, clip, range(30), published=False)
    tap.close()
    world.feed(world.ring.connect(), clip, range(15), epoch=1, published=False)
    assert world.ring.open_clip("gate/a.mp4", info(28)) is None
    assert world.numbers(tmp_path, world.jobs[0]) == list(range(20, 30))


def test_an_abandoned_decoder_adds_nothing(clip: Path) -> None:
    world = World()
    old = world.ring.connect()
    world.feed(old, clip, range(10))
    new = world.ring.connect()
    world.feed(new, clip, range(10), epoch=1)
    before = world.ring.held_bytes
    world.feed(old, clip, range(10, 20))
    assert world.ring.held_bytes == before


def test_a_new_epoch_within_a_connection_ends_a_clip_at_its_picture(
    clip: Path, tmp_path: Path
) -> None:
    world = World(before_s=1, after_s=30)
    tap = world.ring.connect()
    world.feed(tap, clip, range(35))
    assert world.ring.open_clip("gate/a.mp4", info(30)) is None
    world.feed(tap, clip, range(35, 100), epoch=1)
    assert world.numbers(tmp_path, world.jobs[0]) == list(range(20, 35))
    assert world.ring.open_clip("gate/b.mp4", info(99, epoch=1)) is None
    world.ring.end()
    assert world.numbers(tmp_path, world.jobs[1]) == list(range(80, 100))


def test_time_that_steps_back_begins_anew_at_a_key_frame(clip: Path, tmp_path: Path) -> None:
    world = World(before_s=1, after_s=30)
    tap = world.ring.connect()
    world.feed(tap, clip, range(60))
    assert world.ring.open_clip("gate/a.mp4", info(55)) is None
    world.feed(tap, clip, range(5, 40), epoch=1)
    assert world.numbers(tmp_path, world.jobs[0]) == list(range(40, 60))
    assert world.ring.open_clip("gate/b.mp4", info(35, epoch=1)) is None
    world.ring.end()
    assert world.numbers(tmp_path, world.jobs[1])[0] in (10, 20)


@pytest.mark.parametrize("settings", [{"b_frames": 3}, {"codec": "libx265", "b_frames": 2}])
def test_pictures_sent_in_another_order_have_no_hole_at_the_end(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    reordered = numbered.make(tmp_path / "reordered.mp4", **settings)
    world = World(before_s=1, after_s=1)
    tap = world.ring.connect()
    world.feed(tap, reordered, range(100), published=False)
    for number in range(30, 60):
        assert world.ring.open_clip(f"gate/{number}.mp4", info(number)) is None
        found = world.numbers(tmp_path, world.jobs[-1])
        first = found[0]
        assert first is not None
        assert found == list(range(first, first + len(found)))
        assert first <= number - 10
        assert number + 10 <= first + len(found) - 1 <= number + 10 + 6
        crossing.assert_cut_from(tmp_path / f"gate/{number}.mp4", reordered)


def test_mp4_that_holds_a_transport_stream_is_in_the_form_of_mp4(tmp_path: Path) -> None:
    """Annex B in, lengths out: players other than FFmpeg insist."""
    source = numbered.make(tmp_path / "plain.mp4")
    stream = tmp_path / "plain.ts"
    with av.open(str(source)) as old, av.open(str(stream), "w") as new:
        out = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(old.streams.video[0]):
            if packet.size:
                packet.stream = out
                new.mux(packet)
    jobs: list[ClipJob] = []
    ring = PacketRing(SECOND_NS, SECOND_NS, 1 << 30, 8, jobs.append)
    tap = ring.connect()
    with av.open(str(stream)) as container:
        video = container.streams.video[0]
        start_ns = to_ns(video.start_time or 0, video.time_base or packet.time_base)
        for packet in container.demux(video):
            if packet.size and packet.pts is not None:
                shown_ns = to_ns(packet.pts, packet.time_base) - start_ns
                tap.packet(packet, shown_ns)
                ring.frame(info(round(shown_ns / FRAME_NS)))
    assert ring.open_clip("gate/a.mp4", info(50)) is None
    write(tmp_path, jobs[0])
    made = tmp_path / "gate/a.mp4"
    assert crossing.numbers_of(made)[:3] == [40, 41, 42]
    crossing.assert_cut_from(made, source)
