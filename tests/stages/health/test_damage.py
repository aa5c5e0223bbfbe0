"""Damaged H.264: left out and counted, or handed on; too much of it is told."""

import random
from pathlib import Path

import pytest

from stages.base import Counts
from stages.health.damage import Damage
from stages.health.watch import HealthWatch, Settings
from stages.sources.file import FileSource
from stages.sources.reading import Reading
from tests.stages.health.pictures import RATE, encode, live_scene

PACKET_BYTES, HEAD_BYTES = 188, 4


@pytest.fixture(scope="module")
def damaged_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 s of MPEG-TS: after 8 s one transport packet of twelve has noise for a payload."""
    body = bytearray(encode(live_scene, 20 * RATE))
    rng = random.Random(3)
    for start in range(len(body) * 2 // 5 // PACKET_BYTES * PACKET_BYTES, len(body), PACKET_BYTES):
        if rng.random() < 1 / 12:
            place = start + HEAD_BYTES + 100
            body[place : start + PACKET_BYTES] = rng.randbytes(PACKET_BYTES - HEAD_BYTES - 100)
    path = tmp_path_factory.mktemp("damaged") / "clip.ts"
    path.write_bytes(body)
    return path


def test_damaged_pictures_are_left_out_and_every_number_is_accounted_for(
    damaged_clip: Path,
) -> None:
    source = FileSource("cam", damaged_clip, decoder_threads=1)
    seqs = [frame.info.seq for frame in source.frames()]
    counts = source.counts
    assert counts.withheld_total >= 10
    assert counts.corrupt_total >= counts.withheld_total
    assert counts.decoded_total == len(seqs) + counts.withheld_total
    assert counts.decoded_total - 1 - seqs[-1] <= counts.withheld_total
    assert seqs == sorted(set(seqs))


def test_damaged_pictures_are_handed_on_where_that_is_asked_for(damaged_clip: Path) -> None:
    source = FileSource("cam", damaged_clip, Reading(pass_corrupt=True), decoder_threads=1)
    seqs = [frame.info.seq for frame in source.frames()]
    counts = source.counts
    assert counts.corrupt_total >= 10
    assert counts.withheld_total == 0
    assert seqs == list(range(counts.decoded_total))


@pytest.mark.parametrize("pass_corrupt", [False, True])
def test_much_damage_is_told(damaged_clip: Path, pass_corrupt: bool) -> None:
    source = FileSource("cam", damaged_clip, Reading(pass_corrupt=pass_corrupt), decoder_threads=1)
    eye = HealthWatch(Settings(start_s=4.0, end_s=2.0, conditions=("corrupt",)))
    began_s = None
    for frame in source.frames():
        for change in eye.observe(frame.image, frame.info.pts_ns, source.counts):
            assert change.active
            assert began_s is None, "told once"
            began_s = frame.info.pts_ns / 1e9
            assert 0.05 <= change.metrics["damaged"] <= 1
    assert began_s is not None
    assert 12 <= began_s <= 17


def test_damage_is_told_when_no_whole_picture_comes_at_all() -> None:
    eye = HealthWatch(Settings(start_s=10.0))
    counts, told = Counts(), {}
    for half_second in range(60):
        counts.packets_total += 5
        counts.decoded_total += 5
        counts.withheld_total += 5
        counts.corrupt_total += 5
        now_s = 100 + half_second / 2
        for change in eye.idle(counts, now_s):
            told[now_s] = (change.condition, change.active)
    ((told_s, change_told),) = told.items()
    assert change_told == ("corrupt", True)
    assert 110 <= told_s <= 118


def test_silence_is_no_damage() -> None:
    """That is the business of the source's deadlines."""
    eye = HealthWatch(Settings(start_s=1.0))
    counts = Counts(decoded_total=100, corrupt_total=2)
    assert [eye.idle(counts, float(second)) for second in range(30)] == [[]] * 30


def test_a_damaged_picture_now_and_then_is_only_counted() -> None:
    damage = Damage()
    for second in range(100):
        counts = Counts(decoded_total=25 * second, corrupt_total=second, withheld_total=second)
        finding = damage.judge(float(second), counts)
        assert finding is None or not finding.bad
