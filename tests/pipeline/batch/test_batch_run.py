"""The coordinator with real worker processes: deaths, hangs, changes, refusals."""

import json
import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pipeline.batch.folder import MANIFEST, Folder
from pipeline.batch.inputs import find
from pipeline.batch.manifest import Manifest
from pipeline.batch.report import write_report
from pipeline.batch.run import Batch, Outcome, WorkersFail
from pipeline.batch.settings import load
from pipeline.batch.worker import MakeDetector, Orders
from pipeline.core.arrays import U8
from pipeline.core.errors import ConfigError
from tests.pipeline.batch import cheap
from tests.services import batches
from tests.stages.sources.clips import encode


def plain(level: int) -> Callable[[int, int, int], U8]:
    return lambda index, width, height: np.full((height, width, 3), level, np.uint8)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("a", "b", "c"):
        encode(folder / f"{name}.mp4", 10)
    return folder


def run(
    videos: Path,
    *overrides: str,
    resume: bool = False,
    retry_failed: bool = False,
    make: MakeDetector = cheap.make_bar,
    workers: int = 1,
    stall_s: float = 300,
) -> Outcome:
    with closing(Folder.open(videos.parent / "out", resume or retry_failed)) as folder:
        orders = Orders(load(None, overrides, {}), make, os.getpid())
        return Batch(
            folder,
            find(str(videos)),
            orders,
            workers=workers,
            retry_failed=retry_failed,
            stall_s=stall_s,
        ).run()


def states(outcome: Outcome) -> dict[str, str]:
    return {row.path: row.state for row in outcome.rows}


def results(videos: Path) -> dict[str, str]:
    return batches.files(videos.parent / "out")


def test_a_worker_that_dies_once_costs_nothing(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode(videos / "dark.mp4", 10, picture=plain(cheap.BLACK))
    monkeypatch.setenv(cheap.ONCE, str(tmp_path / "died"))
    outcome = run(videos, workers=2)
    assert set(states(outcome).values()) == {"done"}
    assert {row.path: row.deaths for row in outcome.rows}["dark.mp4"] == 1
    assert not outcome.stopped


def test_a_file_that_kills_two_workers_is_set_aside_and_the_others_go_on(videos: Path) -> None:
    encode(videos / "dark.mp4", 400, picture=plain(cheap.BLACK))
    shutil.copy2(videos / "a.mp4", videos / "z.mp4")
    outcome = run(videos)
    assert states(outcome) == {
        "a.mp4": "done", "b.mp4": "done", "c.mp4": "done", "dark.mp4": "failed", "z.mp4": "done"
    }  # fmt: skip
    reason = next(row.reason for row in outcome.rows if row.state == "failed")
    assert reason is not None
    assert "killed (SIGKILL): out of memory?" in reason
    assert "twice" in reason


def test_an_engine_that_fails_is_tried_anew_and_then_told(videos: Path) -> None:
    encode(videos / "grey.mp4", 10, picture=plain(cheap.GREY))
    outcome = run(videos)
    failed = next(row for row in outcome.rows if row.state == "failed")
    assert failed.path == "grey.mp4"
    assert failed.reason == (
        "model bar: unexpected ValueError: a grey picture (twice over this file)"
    )


def test_a_file_that_hangs_the_worker_fails_after_a_while(videos: Path) -> None:
    encode(videos / "white.mp4", 10, picture=plain(cheap.WHITE))
    outcome = run(videos, stall_s=8)
    assert [row.reason for row in outcome.rows if row.state == "failed"] == [
        "no frame was decoded for 8 s (twice over this file)"
    ]
    assert sum(row.state == "done" for row in outcome.rows) == 3


def test_a_model_that_cannot_be_loaded_stops_the_batch_untouched(videos: Path) -> None:
    with pytest.raises(WorkersFail, match="model 'none': there is no such file"):
        run(videos, make=cheap.make_none)
    assert states(run(videos, resume=True)) == dict.fromkeys(("a.mp4", "b.mp4", "c.mp4"), "done")


def test_a_changed_a_new_and_a_lost_file_are_made_again_and_nothing_else(videos: Path) -> None:
    run(videos)
    before, out = results(videos), videos.parent / "out"
    stamps = {path: (out / path).stat().st_mtime_ns for path in before}
    encode(videos / "a.mp4", 12)
    encode(videos / "d.mp4", 5)
    (out / "messages/b.mp4.jsonl").unlink()
    outcome = run(videos, resume=True)
    assert states(outcome) == dict.fromkeys(("a.mp4", "b.mp4", "c.mp4", "d.mp4"), "done")
    after = results(videos)
    assert after["messages/a.mp4.jsonl"] != before["messages/a.mp4.jsonl"]
    assert after["messages/b.mp4.jsonl"] == before["messages/b.mp4.jsonl"]
    again = out / "messages/c.mp4.jsonl"
    assert again.stat().st_mtime_ns == stamps["messages/c.mp4.jsonl"]


def test_a_kill_between_result_and_table_costs_a_second_try_and_no_byte(videos: Path) -> None:
    run(videos)
    before = results(videos)
    with closing(Manifest(videos.parent / "out" / MANIFEST)) as manifest:
        manifest.start("b.mp4")  # as it was before the commit; the result is in its place
    assert states(run(videos, resume=True))["b.mp4"] == "done"
    assert results(videos) == before


def test_failed_files_stay_failed_until_asked_for(videos: Path) -> None:
    whole = (videos / "b.mp4").read_bytes()
    stamp = (videos / "b.mp4").stat().st_mtime_ns
    (videos / "b.mp4").write_bytes(bytes(len(whole)))
    os.utime(videos / "b.mp4", ns=(0, stamp))
    assert states(run(videos))["b.mp4"] == "failed"
    (videos / "b.mp4").write_bytes(whole)
    os.utime(videos / "b.mp4", ns=(0, stamp))  # unchanged, as far as one can see
    assert states(run(videos, resume=True))["b.mp4"] == "failed"
    assert "failed/b.mp4.jsonl" in results(videos)
    assert states(run(videos, retry_failed=True))["b.mp4"] == "done"
    assert sorted(results(videos)) == [f"messages/{name}.mp4.jsonl" for name in "abc"]


def test_other_settings_are_refused_and_touch_nothing(videos: Path) -> None:
    run(videos)
    before = results(videos)
    encode(videos / "a.mp4", 12)
    with pytest.raises(ConfigError, match=r"was made with fps: None, not 5.0: use that"):
        run(videos, "fps=5", resume=True)
    assert results(videos) == before


def test_the_report_has_a_row_for_every_file(videos: Path) -> None:
    (videos / "zero\n.mp4").touch()
    outcome = run(videos)
    path = videos.parent / "report.json"
    write_report(path, outcome, workers=1)
    report = json.loads(path.read_text())
    assert (report["files"], report["done"], report["failed"], report["waiting"]) == (4, 3, 1, 0)
    assert report["frames"] == 30
    assert report["detections"] == {"bar": 30}
    assert report["video_s"] == pytest.approx(3 * 10 / 25, abs=0.01)
    each = {row["path"]: row for row in report["each"]}
    assert each["zero\n.mp4"]["reason"].endswith("is empty (0 bytes)")
    made = results(videos)
    assert all(made[row["output"]] == row["sha256"] for row in each.values())
