"""Faults of what makes messages and pictures of one stream's frames: they end that stream alone."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detectors.scripted import ScriptedDetector
from pipeline import Pipeline
from pipeline.build import evidence as open_evidence
from pipeline.build import looker as open_looker
from pipeline.build import streams as build
from pipeline.config import StreamConfig
from pipeline.core.errors import EngineRunError
from pipeline.core.messages import EndOfStreamMessage
from pipeline.core.seen import FrameFeatures
from pipeline.outlets.pixels import Pixels
from tests.pipeline.run.changing_run import BUSY_S, Run, recording, until
from tests.services import crossing, numbered
from tests.stages.sources.clips import encode

FRAMES, FAULT_AT = 40, 20
WHY = "stream 'b': behind the detector: unexpected RuntimeError: oops"


class Fuse:
    """A plane, looker or privacy mask that raises once, at its `at`-th call."""

    def __init__(self, at: int = FAULT_AT, resets: int = -1) -> None:
        self._left, self._resets_left = at, resets

    def update(self, *_: object) -> dict[int, Any]:
        self._left -= 1
        if self._left == 0:
            raise RuntimeError("oops")
        return {}

    def look(self, *_: object) -> FrameFeatures:
        self.update()
        return FrameFeatures()

    see = update

    def hide(self, picture: object) -> object:
        return picture

    def reset(self) -> None:
        self._resets_left -= 1
        if self._resets_left == 0:
            raise RuntimeError("oops")


FAULTY_SHADE: Any = Fuse()


class FaultyRecorder:
    """Evidence that fails when it is asked for."""

    ring = None
    wants_pictures = due = False

    def refer(self, *_: object) -> list[Any]:
        raise RuntimeError("oops")

    def take(self, *_: object) -> None:
        """No picture is due."""

    def end(self) -> None:
        """No picture is due."""


def of_b(faulty: Any, other: Any) -> Callable[..., Any]:
    """A maker of that part of a stream which is faulty for stream b."""

    def make(*given: Any) -> Any:
        stream = next(one for one in given if isinstance(one, StreamConfig))
        return faulty if stream.id == "b" else other

    return make


def assert_b_alone_failed(run: Run) -> None:
    assert run.report().errors == [WHY]
    assert run.account("a").published == FRAMES == len(run.frames("a"))
    account, told = run.account("b"), run.told("b")
    assert account.decoded == account.published + sum(account.dropped.values())
    assert [frame.seq for frame in run.frames("b")] == list(range(account.published))
    last = told[-1]
    assert isinstance(last, EndOfStreamMessage)
    assert last.error == WHY
    assert (last.decoded, last.published) == (account.decoded, account.published)
    assert last.messages == Counter(message.kind for message in told)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("clips") / "a.mp4", FRAMES)


@pytest.mark.parametrize(
    ("where", "name", "faulty", "other", "published"),
    [
        (build, "make_plane", Fuse(), None, FAULT_AT - 1),
        (open_looker, "make_looker", Fuse(), None, FAULT_AT - 1),
        (open_evidence, "make_pixels", Pixels(FAULTY_SHADE), Pixels(), FAULT_AT),
        (build, "make_plane", Fuse(at=-1, resets=1), None, FRAMES),
    ],
    ids=["plane", "looker", "privacy", "at the end"],
)
async def test_a_fault_behind_the_detector_ends_its_stream_alone(
    where: Any, name: str, faulty: Any, other: Any, published: int,
    clip: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(where, name, of_b(faulty, other))
    async with Run(recording("a", clip), recording("b", clip)) as run:
        await asyncio.wait_for(run.wait(), BUSY_S)
    assert_b_alone_failed(run)
    account = run.account("b")
    assert account.published == published
    left_out = account.decoded - published
    assert account.dropped == ({"stopped": left_out} if left_out else {})
    assert f"{WHY}: the stream ends, the others go on" in caplog.text


async def test_a_frame_whose_event_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted as published by then."""
    clip = numbered.make(tmp_path / "a.mp4", 90)
    files = [recording(name, clip).model_dump() for name in "ab"]
    streams = [StreamConfig.model_validate({**file, "lines": [crossing.LINE]}) for file in files]
    recorder: Any = FaultyRecorder()
    monkeypatch.setattr(open_evidence, "make_pixels", of_b(Pixels(None, recorder), Pixels()))
    async with Run(*streams, detector=crossing.WALKERS) as run:
        await asyncio.wait_for(run.wait(), BUSY_S)
    (crossed,) = crossing.crossings(run.sink.messages)
    assert crossed.stream_id == "a"
    assert run.account("b").published == crossed.seq + 1 == len(run.frames("b"))
    last = run.told("b")[-1]
    assert isinstance(last, EndOfStreamMessage)
    assert last.error == WHY
    assert last.messages == Counter(message.kind for message in run.told("b"))


async def test_a_stream_that_a_fault_has_ended_can_be_restarted(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "make_plane", of_b(Fuse(), None))
    async with Run(recording("a", clip), recording("b", clip), keep_running=True) as run:
        await until(lambda: run.streams["b"] == "ended" and run.account("b").ended)
        assert run.account("b").error == WHY
        await run.restart("b")
        await until(lambda: run.account("b").ended)
        run.drain()
        report = await asyncio.wait_for(run.wait(), BUSY_S)
    assert report.errors == []
    epochs = Counter(frame.epoch for frame in run.frames("b"))
    assert epochs == {0: FAULT_AT - 1, 1: FRAMES}
    run.assert_accounted()


async def test_a_detector_that_gives_too_few_results_ends_the_run_and_every_frame_is_accounted(
    clip: Path,
) -> None:
    class Short(ScriptedDetector):
        def detect(self, pictures: Any) -> Any:
            return super().detect(pictures)[1:]

    run: Pipeline = Run(recording("a", clip), detector=Short(("person",), crossing.walker))
    with pytest.raises(EngineRunError, match=r"unexpected ValueError: \d results for \d pictures"):
        async with run:
            await run.wait()
    (account,) = run.report().streams
    assert account.decoded == account.published + sum(account.dropped.values())
