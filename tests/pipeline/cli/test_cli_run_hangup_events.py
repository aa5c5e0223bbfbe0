"""`eyrie run` and SIGHUP while events last: each goes on, or ends and says why."""

import json
import signal
import subprocess
from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.core.arrays import U8
from pipeline.core.messages import (
    DwellMessage,
    Event,
    LoiteringMessage,
    Message,
    OccupancyMessage,
    StreamStatusMessage,
    ZoneEnterMessage,
    ZoneExitMessage,
)
from stages.sources.street import StreetScene
from tests.pipeline.cli.test_cli_run_hangup import EYRIE, ROOT, WITHIN_S, Command, told
from tests.services.redis_servers import wait_until
from tests.stages.sources.clips import encode

SIZE = (480, 270)
LASTING = (DwellMessage, LoiteringMessage, OccupancyMessage)
pytestmark = pytest.mark.timeout(900)
YARD = "polygon: [[395, 185], [478, 185], [478, 250], [395, 250]], classes: [person]"
ZONE = "name: yard, occupancy: {hold_s: 0}, dwell: {every_s: 1}"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn street in which everybody stands still, for three minutes."""
    street = StreetScene(5, fps=1, frames=7, view="pavement", light="day")
    image, _ = list(street.frames())[-1]
    still: U8 = np.asarray(cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA), np.uint8)
    path = tmp_path_factory.mktemp("still") / "street.mp4"
    return encode(path, 900, size=SIZE, rate=5, picture=lambda *_: still)


def configuration(clip: Path, out: Path, streams: dict[str, tuple[str, str]]) -> str:
    """Streams with more keys, and with more keys of their zone; a busy machine drops nothing."""
    lines = [
        f"  - {{id: {name}, when_full: block, {keys}"
        f" source: {{kind: file, path: {clip}, realtime: true}},"
        f" zones: [{{{ZONE}, {YARD}, {zone}}}]}}"
        for name, (keys, zone) in streams.items()
    ]
    sink = f"sinks: [{{kind: jsonl, path: '{out}/{{stream_id}}.jsonl'}}]"
    return "\n".join(["streams:", *lines, sink, ""])


def lives(out: Path, name: str) -> dict[str, list[Event]]:
    """The messages of each event that lasts, by its id, in the order they were told."""
    found = defaultdict[str, list[Event]](list)
    for message in told(out, name):
        if isinstance(message, LASTING):
            found[message.event_id].append(message)
    return found


def open_now(out: Path, name: str) -> dict[str, str]:
    """Which event each is that has started and not ended, by its id."""
    return {key: some[0].event for key, some in lives(out, name).items() if some[-1].phase != "end"}


def begun(out: Path, name: str, but: Collection[str] = ()) -> set[str]:
    """Wait until one event of each kind lasts, beside those of these ids: ids of all that last."""

    def all_kinds() -> bool:
        fresh = {event for key, event in open_now(out, name).items() if key not in but}
        return fresh == {"dwell", "loitering", "occupancy"}

    wait_until(all_kinds, f"events of {name} last", WITHIN_S)
    return set(open_now(out, name))


def causes(out: Path, name: str, ids: Collection[str]) -> set[object]:
    """Why these events ended; None: one has not."""
    return {
        getattr(some[-1], "cause", None) for key, some in lives(out, name).items() if key in ids
    }


def test_events_go_on_over_a_hangup_or_end_and_say_why(clip: Path, tmp_path: Path) -> None:
    """One stream stays as it is, one gets another zone and then another frame rate, one goes."""
    out, file = tmp_path / "out", tmp_path / "c.yaml"
    usual = ("", "loitering: {after_s: 1}")
    file.write_text(configuration(clip, out, dict.fromkeys(("still", "moved", "gone"), usual)))
    command = [*EYRIE, "run", str(file), "--quiet"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=ROOT) as process:
        try:
            run = Command(process)
            still, first, gone = (begun(out, name) for name in ("still", "moved", "gone"))
            moved = ("", "loitering: {after_s: 0.5}")
            file.write_text(configuration(clip, out, {"still": usual, "moved": moved}))
            assert run.hang_up() == "WARNING SIGHUP: removed gone; changed moved\n"
            second = begun(out, "moved", first)
            assert causes(out, "moved", first) == {"reconfigured"}
            assert causes(out, "gone", gone) == {"end_of_stream"}
            slower = ("fps: 4,", "loitering: {after_s: 0.5}")
            file.write_text(configuration(clip, out, {"still": usual, "moved": slower}))
            assert run.hang_up() == "WARNING SIGHUP: changed moved\n"
            third = begun(out, "moved", first | second)
            assert causes(out, "moved", second) == {"epoch"}
            assert still <= set(open_now(out, "still"))
            process.send_signal(signal.SIGTERM)
            assert process.wait(WITHIN_S) == 0
        finally:
            process.kill()
    assert causes(out, "still", still) == causes(out, "moved", third) == {"end_of_stream"}
    for name in ("still", "moved", "gone"):
        assert_all_ended(told(out, name), lives(out, name))
    assert statuses(out, "still") == [("up", None)]
    assert statuses(out, "moved") == [("up", None), ("down", "restarted"), ("up", None)]
    assert statuses(out, "gone") == [("up", None), ("down", "removed")]
    assert_verified(out)


def assert_all_ended(messages: Sequence[Message], found: dict[str, list[Event]]) -> None:
    """Each event has one start, then updates, then one end, which no track's end comes before;
    everybody who enters leaves."""
    for some in found.values():
        phases = [message.phase for message in some]
        assert (phases[0], phases[-1]) == ("start", "end")
        assert set(phases[1:-1]) <= {"update"}
        ended = {m.track_id for m in messages[: messages.index(some[-1])] if m.kind == "track_end"}
        assert getattr(some[-1], "track_id", None) not in ended
    inside = [m.event_id for m in messages if isinstance(m, ZoneEnterMessage)]
    left = [m.event_id for m in messages if isinstance(m, ZoneExitMessage)]
    assert len(inside) == len(left)


def statuses(out: Path, name: str) -> list[tuple[str, str | None]]:
    found = [m for m in told(out, name) if isinstance(m, StreamStatusMessage)]
    return [(status.status, status.cause) for status in found if status.status in ("up", "down")]


def assert_verified(out: Path) -> None:
    """`eyrie verify` reads all and finds no fault; frames were dropped for known reasons only."""
    command = [*EYRIE, "verify", f"file:{out}/*.jsonl", "--strict", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    result = json.loads(done.stdout)
    assert result["complete"]
    assert {stream["stream_id"]: stream["ended"] for stream in result["streams"]} == dict.fromkeys(
        ("gone", "moved", "still"), True
    )
    reasons = {reason for stream in result["streams"] for reason in stream["dropped"]}
    assert reasons <= {"target_fps", "stopped"}
