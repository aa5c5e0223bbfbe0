"""Pictures are drawn in the thread of their sink: none is made in vain, and each is counted."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.scripted import ScriptedDetector
from pipeline import Pipeline
from pipeline.channel import WhenFull
from pipeline.config.file import parse_config
from pipeline.core.arrays import U8
from pipeline.core.detections import Detections
from pipeline.core.errors import Rejected, SinkError, SinkUnavailable
from pipeline.core.frame import FrameInfo
from pipeline.core.picture import Picture, RgbPicture
from pipeline.core.tracks import Tracks
from pipeline.outlets.pictures import Drawing, PictureOutlet
from sinks.base import Outgoing
from sinks.memory import MemorySink
from stages.annotate import Scene
from stages.privacy import PrivatePicture
from stages.sources.planes import YuvPicture
from tests.stages.sources.clips import encode

NAME = "film"
GREY = np.full((8, 8, 3), 90, np.uint8)
SCENE = Scene(Tracks.empty(), ())
FAILURES: dict[str, Callable[[], Exception]] = {
    "away": lambda: SinkUnavailable(NAME, "the disk is full"),
    "refused": lambda: Rejected(NAME, "a second stream"),
    "no_kind": lambda: SinkError(NAME, "of no kind"),
    "fault": lambda: KeyError("no sink raises this"),
}
WHEN_FULL = st.sampled_from(["block", "drop_oldest", "drop_newest"])


class Film:
    """A `PictureSink` that keeps what it is told, and does at each call what `acts` says next."""

    def __init__(self, acts: Sequence[str] = ()) -> None:
        self.name = NAME
        self.told: list[tuple[str, int | None]] = []
        """(stream, seq) of every picture, (stream, None) of every end."""
        self._acts = iter(acts)

    def open(self) -> None:
        """See `PictureSink.open`."""

    def write_picture(self, info: FrameInfo, image: U8) -> None:
        self._act()
        self.told.append((info.stream_id, info.seq))

    def end_stream(self, stream_id: str) -> None:
        self._act()
        self.told.append((stream_id, None))

    def close(self) -> None:
        """See `PictureSink.close`."""

    def _act(self) -> None:
        if (act := next(self._acts, "works")) in FAILURES:
            raise FAILURES[act]()


class Watched(RgbPicture):
    """Tells when its pixels are made."""

    def __init__(self, made: list[str]) -> None:
        super().__init__(GREY)
        object.__setattr__(self, "made", made)

    made: list[str]

    def rgb(self) -> U8:
        self.made.append(threading.current_thread().name)
        return super().rgb()


def drawing(stream_id: str, seq: int, picture: Picture | None = None) -> Drawing:
    info = FrameInfo(
        stream_id=stream_id, epoch=0, seq=seq, pts_ns=seq, captured_ns=0, arrived_ns=0,
        clock="file", uncertainty_ns=0, width=8, height=8,
    )  # fmt: skip
    return Drawing(info, PrivatePicture(picture or RgbPicture(GREY)), SCENE)


def finish(outlet: PictureOutlet) -> None:
    outlet.channel.close()
    outlet.run()


ACTS = st.lists(st.sampled_from(["works", "works", *FAILURES]), max_size=12)
OFFERED = st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=30)


@given(ACTS, OFFERED, WHEN_FULL, st.integers(1, 4), st.integers(0, 30))
def test_whatever_a_sink_raises_every_picture_is_in_the_account(
    acts: list[str],
    offered: list[tuple[str, bool]],
    when_full: WhenFull,
    capacity: int,
    aborted_at: int,
) -> None:
    """Pictures of two streams and ends of them, into a channel that runs over."""
    film = Film(acts)
    outlet = PictureOutlet(film, 30 if when_full == "block" else capacity, when_full)
    for seq, (stream_id, ends) in enumerate(offered):
        if seq == aborted_at:
            outlet.abort()
        if ends:
            outlet.end_stream(stream_id)
        else:
            outlet.offer(drawing(stream_id, seq))
    finish(outlet)
    report, pictures = outlet.report, sum(not ends for _, ends in offered)
    assert report.produced == pictures == report.acknowledged + sum(report.dropped.values())
    assert report.waiting == 0
    assert report.dropped.keys() <= {"queue_full", "failed", "stopped"}
    shown = [seq for _, seq in film.told if seq is not None]
    assert len(shown) == report.acknowledged
    assert shown == sorted(shown)
    assert (report.dropped.get("failed", 0) > 0) <= (report.error is not None)


@pytest.mark.parametrize("when_full", ["drop_oldest", "drop_newest"])
def test_a_stream_ends_behind_its_last_picture_however_full_the_channel(
    when_full: WhenFull,
) -> None:
    outlet = PictureOutlet(film := Film(), 3, when_full)
    for seq in range(4):
        outlet.offer(drawing("a", seq))
    outlet.end_stream("a")
    for seq in (4, 5):
        outlet.offer(drawing("b", seq))
    outlet.offer(drawing("a", 6))  # it begins anew
    finish(outlet)
    last_of_a = [*film.told].index(("a", None))
    before, behind = film.told[:last_of_a], film.told[last_of_a + 1 :]
    kept = {"drop_oldest": [4, 5, 6], "drop_newest": [0, 1, 2]}[when_full]
    assert [seq for _, seq in before + behind] == kept
    assert all(seq is not None and seq < 4 for stream_id, seq in before if stream_id == "a")
    assert all(seq is not None and seq > 4 for stream_id, seq in behind if stream_id == "a")


def test_of_a_picture_that_is_dropped_no_pixel_is_made() -> None:
    made: list[str] = []
    outlet = PictureOutlet(film := Film(), 2, "drop_oldest")
    for seq in range(10):
        outlet.offer(drawing("a", seq, Watched(made)))
    finish(outlet)
    assert film.told == [("a", 8), ("a", 9)]
    assert len(made) == 2


def test_of_a_stream_that_has_failed_no_pixel_is_made_until_it_begins_anew() -> None:
    made: list[str] = []
    outlet = PictureOutlet(film := Film(["works", "away"]), 20, "block")
    for seq in range(5):
        outlet.offer(drawing("a", seq, Watched(made)))
    outlet.offer(drawing("b", 5))
    outlet.end_stream("a")
    outlet.offer(drawing("a", 6, Watched(made)))
    finish(outlet)
    assert film.told == [("a", 0), ("b", 5), ("a", None), ("a", 6)]
    assert len(made) == 3
    assert outlet.report.dropped == {"failed": 4}
    assert outlet.report.error == ("sink 'film': the disk is full (no more pictures of stream 'a')")


def test_a_picture_that_cannot_be_drawn_ends_its_stream_there_alone() -> None:
    class Torn(RgbPicture):
        def rgb(self) -> U8:
            raise RuntimeError("its memory is gone")

    outlet = PictureOutlet(film := Film(), 20, "block")
    outlet.offer(drawing("a", 0, Torn(GREY)))
    outlet.offer(drawing("b", 1))
    finish(outlet)
    assert film.told == [("b", 1)]
    assert outlet.report.error == (
        "sink 'film': unexpected RuntimeError: its memory is gone (no more pictures of stream 'a')"
    )


PERSON = Detections(
    np.array([[4, 4, 20, 40]], np.float32), np.array([0.9], np.float32), np.zeros(1, np.int32)
)


class Telling(MemorySink):
    """Says when the end of the stream has come."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = threading.Event()

    def write(self, messages: Sequence[Outgoing]) -> None:
        super().write(messages)
        if any(message.kind == "end_of_stream" for message in messages):
            self.ended.set()


QUEUE, FRAMES = 30, 45


@pytest.mark.parametrize(("privacy", "workers"), [("off", 0), ("persons", 0), ("persons", 1)])
async def test_no_message_waits_for_a_picture(
    privacy: str, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No pixel can be had before all messages are told: so no message waits for one, and no picture
    that waits to be drawn holds up a decoder. All pixels are made, hidden and drawn upon in the
    thread of the video sink."""
    sink, rgb, threads = Telling(), YuvPicture.rgb, set[str]()

    def late_rgb(picture: YuvPicture) -> U8:
        threads.add(threading.current_thread().name)
        assert sink.ended.wait(30), "the messages wait for the picture"
        return rgb(picture)

    monkeypatch.setattr(YuvPicture, "rgb", late_rgb)
    stream = {
        "id": "gate",
        "source": {"kind": "file", "path": str(encode(tmp_path / "source.mp4", FRAMES))},
    }
    video = {
        "kind": "video", "path": str(tmp_path / "gate.mp4"), "when_full": "drop_oldest",
        "queue_messages": QUEUE,
    }  # fmt: skip
    config = {"streams": [stream], "sinks": [video], "privacy": privacy, "workers": workers}
    detector = ScriptedDetector(("person",), lambda _: PERSON)
    async with Pipeline(parse_config(config), detector=detector, sinks=[sink]) as pipeline:
        report = await pipeline.wait()
    assert report.errors == []
    assert threads == {"eyrie sink video"}
    shown = report.sinks[-1]
    assert (shown.produced, shown.waiting) == (FRAMES, 0)
    assert QUEUE <= shown.acknowledged <= QUEUE + 1
