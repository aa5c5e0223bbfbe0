"""What the two processes tell each other arrives as it was."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.detections import Detections
from pipeline.core.errors import (
    DecodeError,
    SourceDenied,
    SourceError,
    SourceHung,
    SourceRefused,
    SourceUnavailable,
)
from pipeline.core.frame import FrameInfo
from pipeline.workers import wire
from stages.base import Counts, Decoder, Times
from stages.sources.file import FileSource
from stages.sources.http import HttpSource
from stages.sources.images import ImageFolderSource
from stages.sources.reading import Reading
from stages.sources.rtsp import RtspSource
from stages.sources.street.source import StreetSource
from stages.sources.webcam import WebcamSource

INFO = FrameInfo(
    stream_id="gate", epoch=2, seq=40, pts_ns=3, captured_ns=4, arrived_ns=5, clock="rtcp",
    uncertainty_ns=6, width=1920, height=1080,
)  # fmt: skip


def test_a_frame_says_what_it_said(tmp_path: Path) -> None:
    source = FileSource("gate", tmp_path / "a.mp4")
    counted = (7, 1, 2, 0, 3, 9, 4, 5, 25.0)
    source.counts = Counts(*counted, Decoder(), Times(1, 2, 3, 4), {"loss": 1})
    source.frame_count = 90
    slot, info, counts, frame_count = wire.unpack(wire.frame_record(3, INFO, source, 6))
    assert (slot, frame_count) == (3, 90)
    assert wire.info_of(info) == INFO
    assert wire.counts_of(counts) == replace(source.counts, thinned_total=6)
    assert wire.decoded_in(counts) == source.counts.decoded_total == 7
    assert wire.thinned_in(counts) == 6


def test_what_decodes_is_told_once() -> None:
    """`Stream` tells it when it is another object."""
    first = wire.counts_of(wire.counts_record(Counts(decoder=Decoder())))
    again = wire.counts_of(wire.counts_record(Counts(decoder=Decoder())))
    assert again.decoder is first.decoder
    other = wire.counts_of(wire.counts_record(Counts(decoder=Decoder("auto", why="no"))))
    assert other.decoder == Decoder("auto", why="no")


@pytest.mark.parametrize(
    "kind", [SourceUnavailable, SourceHung, SourceRefused, SourceDenied, DecodeError]
)
def test_a_failure_keeps_its_kind_and_its_words(kind: type[SourceError]) -> None:
    error = kind("gate", "it is away, a\nlot")
    there = wire.error_of("gate", wire.unpack(wire.pack(wire.error_record(error))))
    assert type(there) is kind
    assert str(there) == str(error)


def test_a_source_goes_as_it_was_made_and_can_be_closed_there(tmp_path: Path) -> None:
    source = FileSource("a", tmp_path / "a.mp4", Reading(epoch=3, first_seq=9, fps=5.0))
    there = wire.unpack(wire.pack_source(source))
    assert (there.stream_id, there.path) == ("a", source.path)
    there.close()


def test_every_kind_that_may_go_can_be_sent(tmp_path: Path) -> None:
    reading = Reading(live=True)
    for source in (
        RtspSource("c", "rtsp://host/1", user="me", password="p@ss:word/1"),
        HttpSource("h", "http://host/a.m3u8", reading),
        WebcamSource("w", tmp_path / "video0", reading),
        ImageFolderSource("i", tmp_path, fps=5),
        StreetSource("s", seconds=1),
    ):
        there = wire.unpack(wire.pack_source(source))
        assert type(there) is type(source)
        assert there.live == source.live
        there.close()


def test_a_source_with_something_of_this_process_stays(tmp_path: Path) -> None:
    source = FileSource("a", tmp_path / "a.mp4")
    source.__dict__["held"] = threading.Lock()
    with pytest.raises(TypeError, match="lock"):
        wire.pack_source(source)


@given(st.integers(0, 300), st.integers(0, 2**32 - 1))
def test_what_was_found_comes_as_it_was(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = Detections(
        rng.normal(0, 1e4, (count, 4)).astype(np.float32), rng.random(count, np.float32),
        rng.integers(0, 80, count, np.int32),
    )  # fmt: skip
    packet = wire.found_record(found)
    assert len(packet) < wire.MOST_BYTES
    said = wire.found_of(packet)
    assert isinstance(said, Detections)
    np.testing.assert_array_equal(said.xyxy, found.xyxy)
    np.testing.assert_array_equal(said.score, found.score)
    np.testing.assert_array_equal(said.class_id, found.class_id)
    assert said.xyxy.flags.writeable  # it is the caller's


def test_why_nothing_was_found_comes_in_words() -> None:
    packet = wire.failed_record("model x: ünheard of")
    assert wire.is_failure(packet)
    assert wire.found_of(packet) == "model x: ünheard of"
    assert not wire.is_failure(wire.found_record(Detections.empty()))
