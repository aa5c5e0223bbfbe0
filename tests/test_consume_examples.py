"""The small consumers: a counter, an alarm, and what a loader puts into a database."""

from pathlib import Path

import pytest

from examples import alert, people_per_minute
from pipeline.core.messages import Detection, LineCrossMessage, Message, message_id
from tests.services.streams import PRODUCER, START
from tests.sinks.consume.told import RUN, frame, write


def crossing(track_id: int, label: str = "person", line: str = "gate") -> LineCrossMessage:
    identity = message_id(RUN, "gate", 0, 1, "event", str(track_id))
    return LineCrossMessage(
        message_id=identity, stream_id="gate", epoch=0, seq=1, published_at=START,
        producer=PRODUCER, event_id=identity, line=line, direction="in", track_id=track_id,
        label=label, class_id=0, point=(1, 2), crossed_at=START, counts={"in": 1, "out": 0},
    )  # fmt: skip


def street() -> list[Message]:
    """Two people in a frame, crossings of which one comes twice, and a gap."""
    people = [Detection(label="person", class_id=0, score=0.9, box=(1, 2, 3, 4))] * 2
    return [
        frame(0),
        frame(1).model_copy(update={"detections": people}),
        *(crossing(1), crossing(1), crossing(2), crossing(3, "car")),
        frame(5),
    ]


async def test_people_are_counted_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "gate.jsonl", street())
    minutes = await people_per_minute.count(str(path), None, "person", follow=False)
    assert minutes.lines() == ["00:00 at most 2 person at once, 2 in, 0 out"]
    assert capsys.readouterr().out == "gate: 3 frames are missing\n"


async def test_an_alarm_is_given_once_and_for_gaps(tmp_path: Path) -> None:
    path = write(tmp_path / "gate.jsonl", street())
    alarms: list[tuple[str, str]] = []
    await alert.watch(
        str(path), lambda *told: alarms.append(told), "car", "gate", "in", "oldest", follow=False
    )
    assert alarms == [
        ("gate", "car 3 crossed gate in"),
        ("gate", "3 frames are missing: crossings may be, too"),
    ]
    assert alert.reason(crossing(9, "car", "yard"), "car", "gate", None) is None
    assert alert.reason(crossing(9, "car", "yard"), "car", None, "out") is None
