"""`eyrie run` over cameras, and SIGHUP: the command as people run it."""

import subprocess
from itertools import pairwise
from pathlib import Path

from pipeline.core.messages import FrameMessage, StreamStatusMessage
from tests.integration.conftest import SiteMaker
from tests.integration.rtsp_run import BUSY_S
from tests.pipeline.cli.test_cli_run_hangup import EYRIE, ROOT, Command, told, wait_for_frames

SIGNALS = 3


def configuration(out: Path, cameras: dict[str, str]) -> str:
    """Streams and the rest of their source. Cameras of 10 frames a second, so that the real
    detector keeps up, and a queue for a machine that has other work."""
    lines = [
        f"  - {{id: {name}, queue_frames: 1000, max_age_ms: 60000, source:"
        f" {{kind: rtsp, read_timeout_s: 5, longest_pause_s: 0.5, {rest}}}}}"
        for name, rest in cameras.items()
    ]
    sink = f"sinks: [{{kind: jsonl, path: '{out}/{{stream_id}}.jsonl'}}]"
    return "\n".join(["streams:", *lines, sink, ""])


def frames(out: Path, name: str) -> list[FrameMessage]:
    return [message for message in told(out, name) if isinstance(message, FrameMessage)]


def causes(out: Path, name: str) -> list[str | None]:
    statuses = [m for m in told(out, name) if isinstance(m, StreamStatusMessage)]
    return [status.cause for status in statuses if status.status == "down"]


def test_cameras_are_added_removed_and_changed_and_the_others_lose_nothing(
    tmp_path: Path, make_site: SiteMaker, clips: dict[str, Path]
) -> None:
    """One camera stays, one gets another password, one comes and goes, one never answers."""
    site = make_site({"plain": clips["plain"]})
    locked = make_site({"plain": clips["plain"]}, ["--user", "me", "--password", "new"])
    out, file = tmp_path / "out", tmp_path / "c.yaml"
    still = f"url: '{site.url('plain')}'"
    login = f"url: '{locked.url('plain')}', denied_pause_s: 1000, user: me, password: "
    dead = "url: 'rtsp://127.0.0.1:9/dead'"
    file.write_text(
        configuration(out, {"still": still, "locked": f"{login}old", "goes": still, "dead": dead})
    )
    command = [*EYRIE, "run", str(file), "--quiet"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=ROOT) as process:
        try:
            run = Command(process)
            run.until(b"refused the user name or password")
            wait_for_frames(out, "still", "goes")
            file.write_text(
                configuration(out, {"still": still, "locked": f"{login}new", "comes": still})
            )
            answer = run.hang_up()
            assert "SIGHUP: added comes; removed goes, dead; changed locked" in answer
            wait_for_frames(out, "still", "locked", "comes")
            for _ in range(SIGNALS):
                assert "SIGHUP: no stream has changed" in run.hang_up()
            wait_for_frames(out, "still", "locked", "comes")
            process.terminate()
            assert process.wait(BUSY_S) == 0
        finally:
            process.kill()
    assert causes(out, "locked") == ["auth", "restarted"]
    assert causes(out, "goes") == ["removed"]
    assert causes(out, "still") == causes(out, "comes") == []
    assert [told(out, name)[-1].kind for name in ("goes", "dead", "still")] == ["end_of_stream"] * 3
    assert {frame.epoch for frame in frames(out, "still")} == {0}
    steps = {now.seq - before.seq for before, now in pairwise(frames(out, "still"))}
    assert steps == {1}
