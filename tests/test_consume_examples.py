"""The small consumers: a counter, an alarm, and what a loader puts into a database."""

import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from examples import alert, people_per_minute
from pipeline.core.messages import Detection, LineCrossMessage, Message, message_id
from tests.services.servers import free_port
from tests.services.streams import PRODUCER, START
from tests.sinks.consume.told import RUN, frame, write

ROOT = Path(__file__).resolve().parents[1]


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
    assert minutes.lines() == ["2026-01-01 00:00 at most 2 person at once, 2 in, 0 out"]
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


@pytest.mark.parametrize("example", ["alert", "people_per_minute", "consume_redis"])
def test_a_broker_that_is_away_is_one_line(example: str) -> None:
    command = [sys.executable, "-m", f"examples.{example}", f"redis://127.0.0.1:{free_port()}/0"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 3
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"{example}: ")
    assert "refused" in line


def test_ctrl_c_ends_an_alarm_without_a_traceback(tmp_path: Path) -> None:
    path = write(tmp_path / "gate.jsonl", street())
    command = [sys.executable, "-m", "examples.alert", str(path), "--label", "car"]
    command = ["env", "--default-signal=INT", *command]  # a shell in the background ignores it
    with (
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process,
        path.open("ab") as file,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        deadline_s, number = time.monotonic() + 60, 10
        while not select.select([process.stdout], [], [], 0.2)[0]:  # it begins where it is ready
            assert time.monotonic() < deadline_s, "no alarm"
            file.write(crossing(number, "car").model_dump_json().encode() + b"\n")
            file.flush()
            number += 1
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stderr.read() == b""
