"""How many workers, and for whom."""

from typing import Any

import pytest

from pipeline.config import StreamConfig
from pipeline.workers.choose import choose, reason_to_stay, repeats


def stream(kind: str = "rtsp", **more: Any) -> StreamConfig:
    where = {"rtsp": {"url": "rtsp://host/1"}, "file": {"path": "a.mp4"}, "stdin": {},
             "watch": {"path": "in"}}[kind]  # fmt: skip
    source = {"kind": kind, **where, **more.pop("source", {})}
    return StreamConfig.model_validate({"id": "s", "source": source, **more})


@pytest.mark.parametrize(("cameras", "cores"), [(1, 64), (8, 64), (16, 2), (1000, 8)])
def test_few_streams_or_few_cores_need_none(cameras: int, cores: int) -> None:
    choice = choose("auto", [stream()] * cameras, cores)
    assert choice.count == 0
    assert choice.reason


def test_many_streams_need_some_and_never_most_cores() -> None:
    counts = [choose("auto", [stream()] * cameras, 64).count for cameras in range(0, 2000, 50)]
    assert counts == sorted(counts)
    assert counts[-1] > 1
    assert choose("auto", [stream()] * 20_000, 16).count == 8
    few = choose("auto", [stream(fps=1)] * 200, 64)
    assert few.count == 0


def test_cameras_that_fill_one_interpreter_have_workers_that_detect() -> None:
    """Measured on two cores: seven cameras are no faster with workers, eight and more are."""
    counts = [choose("auto", [stream()] * n, 2, detect=True).count for n in (0, 1, 7, 8, 16, 99)]
    assert counts == [0, 0, 0, 2, 2, 2]
    many = [choose("auto", [stream()] * n, 16, detect=True).count for n in range(8, 900)]
    assert many == sorted(many)
    assert (many[0], many[-1]) == (2, 16)
    assert choose("auto", [stream(fps=5)] * 16, 2, detect=True).count == 0
    assert choose("auto", [stream("file")] * 99, 2, detect=True).count == 0
    assert choose("auto", [stream("file")] * 99, 64, detect=True).count > 0


def test_a_number_is_that_number() -> None:
    assert choose(3, [], 1).count == 3
    assert choose(0, [stream()] * 1000, 64).count == 0


def test_some_streams_stay() -> None:
    assert reason_to_stay(stream()) is None
    assert reason_to_stay(stream("file")) is None
    for stays in (
        stream("stdin"), stream("watch"), stream(hwaccel="auto"), stream(chaos={"loss": 0.1}),
    ):  # fmt: skip
        assert reason_to_stay(stays)
    assert choose("auto", [stream("stdin")] * 1000, 64).count == 0


def test_only_what_is_the_same_every_time_is_decoded_again() -> None:
    assert repeats(stream("file"))
    assert not repeats(stream())
    assert not repeats(stream("file", source={"realtime": True}))
