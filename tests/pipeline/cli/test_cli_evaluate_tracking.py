"""`eyrie evaluate-tracking`: table, figures, tracks, and errors of one line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli.app import app
from stages.sources.street import StreetScene
from stages.sources.street.encode import write_video

GOLDEN = Path(__file__).parents[2] / "stages/track_evaluation/golden"
TRUTH, TRACKS = GOLDEN / "truth", GOLDEN / "tracks/ours/data"
SEQUENCES = ("CROWD-01", "FOOTWAY-03", "STAGE-02")


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["evaluate-tracking", *map(str, arguments)])
    return result.exit_code, result.stdout, result.stderr


def detections_of_truth(folder: Path, name: str) -> None:
    """The true boxes of pedestrians as detections."""
    rows = [line.split(",") for line in (TRUTH / name / "gt/gt.txt").read_text().splitlines()]
    lines = [",".join([row[0], "-1", *row[2:6], "0.9"]) for row in rows if row[7] == "1"]
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.txt").write_text("\n".join(lines))


def test_ready_tracks_are_judged_by_sequence_and_together(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    code, out, _ = run("--truth", TRUTH, "--tracks", TRACKS, "--json", file)
    assert code == 0
    for word in (*SEQUENCES, "all together", "HOTA", "DetA", "AssA", "MOTA", "IDF1", "switches"):
        assert word in out
    said = json.loads(file.read_text())["classes"]["1"]
    expected = json.loads((GOLDEN / "scores.json").read_text())["scores"]
    assert set(said["sequences"]) == set(SEQUENCES)
    assert said["combined"]["hota"] == pytest.approx(expected["COMBINED_SEQ"]["hota"], abs=1e-5)
    assert f"{100 * expected['STAGE-02']['idf1']:.2f}" in out


def test_figures_on_standard_output_are_json_alone() -> None:
    code, out, _ = run("--truth", TRUTH / "STAGE-02", "--tracks", TRACKS, "--json", "-")
    assert code == 0
    assert list(json.loads(out)["classes"]["1"]["sequences"]) == ["STAGE-02"]


def test_the_tracker_runs_over_detections_and_its_tracks_are_written(tmp_path: Path) -> None:
    for name in SEQUENCES:
        detections_of_truth(tmp_path / "det", name)
    file = tmp_path / "first.json"
    code, _, _ = run(
        "--truth", TRUTH, "--detections", tmp_path / "det", "--out", tmp_path / "out",
        "--json", file, "-q",
    )  # fmt: skip
    assert code == 0
    first = json.loads(file.read_text())
    assert first["classes"]["1"]["combined"]["hota"] > 0.7
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"{name}.txt" for name in SEQUENCES
    ]
    again = tmp_path / "again.json"
    code, out, _ = run("--truth", TRUTH, "--tracks", tmp_path / "out", "--json", again, "-q")
    assert (code, out) == (0, "")
    said = json.loads(again.read_text())["classes"]["1"]["combined"]
    for share in ("hota", "mota", "idf1"):  # boxes in files have two decimals
        assert said[share] == pytest.approx(first["classes"]["1"]["combined"][share], abs=2e-3)


def test_every_third_frame_has_a_third_of_the_boxes(tmp_path: Path) -> None:
    detections_of_truth(tmp_path / "det", "CROWD-01")
    boxes = {}
    for every in (1, 3):
        file = tmp_path / f"{every}.json"
        arguments = ("--truth", TRUTH / "CROWD-01", "--detections", tmp_path / "det", "-q")
        code, _, _ = run(*arguments, "--every", str(every), "--json", file, "--out", tmp_path / "o")
        assert code == 0
        boxes[every] = json.loads(file.read_text())["classes"]["1"]["combined"]["true_boxes"]
    assert boxes[3] == pytest.approx(boxes[1] / 3, rel=0.1)
    told = (tmp_path / "o/CROWD-01.txt").read_text()
    frames = {int(line.split(",")[0]) for line in told.splitlines()}
    assert {frame % 3 for frame in frames} == {1}


def test_parameters_of_the_tracker_change_what_it_does(tmp_path: Path) -> None:
    detections_of_truth(tmp_path / "det", "CROWD-01")
    given = ("--truth", TRUTH / "CROWD-01", "--detections", tmp_path / "det", "--json", "-", "-q")
    found = []
    for hits in ("1", "30"):
        code, out, _ = run(*given, "--set", f"confirm_hits={hits}")
        assert code == 0
        found.append(json.loads(out)["classes"]["1"]["combined"]["false_negatives"])
    assert found[0] < found[1]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("confirm_hits", "--set: 'confirm_hits' is no KEY=VALUE, such as high_score=0.6"),
        ("no_such_key=1", "--set: got an unexpected keyword argument 'no_such_key'"),
        ("confirm_hits=0", "--set: TrackerParams: confirm_hits 0 is not in [1, 1000]"),
        ("confirm_hits=[", "--set: 'confirm_hits=[': the value is not understood"),
    ],
)
def test_a_wrong_parameter_is_one_line(tmp_path: Path, text: str, why: str) -> None:
    detections_of_truth(tmp_path / "det", "STAGE-02")
    code, out, complaints = run(
        "--truth", TRUTH / "STAGE-02", "--detections", tmp_path / "det", "--set", text
    )
    assert (code, out, complaints) == (2, "", f"eyrie: {why}\n")


def test_a_broken_line_is_named_with_its_file(tmp_path: Path) -> None:
    broken = tmp_path / "det.txt"
    broken.write_text("1,-1,0,0,5,5,0.9\n2,-1,0,zero,5,5,0.9\n")
    code, out, complaints = run("--truth", TRUTH / "STAGE-02", "--detections", broken)
    assert (code, out) == (2, "")
    assert complaints == f"eyrie: {broken}:2: '2,-1,0,zero,5,5,0.9' is not all numbers\n"


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    code, _, complaints = run("--truth", tmp_path / "none", "--tracks", TRACKS)
    assert (code, complaints.count("\n")) == (2, 1)
    code, _, complaints = run("--truth", TRUTH, "--detections", TRACKS, "--tracks", TRACKS)
    assert (code, complaints) == (2, "eyrie: give one of --detections, --tracks and --video\n")
    code, _, complaints = run("--truth", TRUTH / "STAGE-02/gt/gt.txt")
    assert (code, complaints) == (2, "eyrie: give one of --detections, --tracks and --video\n")
    code, _, complaints = run("--truth", TRUTH / "STAGE-02", "--tracks", TRACKS, "--class", "3")
    assert code == 2
    assert "has no boxes of class 3; it has 1, 7" in complaints


def test_a_video_goes_through_detector_and_tracker(tmp_path: Path) -> None:
    scene = StreetScene(5, 640, 360, fps=10, frames=25, view="corridor")
    truths = write_video(scene, tmp_path / "clip.mp4")
    lines = [
        f"{truth.frame + 1},{ident},{x1},{y1},{x2 - x1},{y2 - y1},{0 if hidden else 1},1,1"
        for truth in truths
        for ident, hidden, (x1, y1, x2, y2) in zip(
            truth.track_id.tolist(), truth.ignore.tolist(), truth.xyxy.tolist(), strict=True
        )
    ]
    (tmp_path / "gt.txt").write_text("\n".join(lines))
    given = ("--truth", tmp_path / "gt.txt", "--video", tmp_path / "clip.mp4", "--json", "-", "-q")
    code, out, complaints = run(*given)
    assert (code, complaints) == (0, "")
    every = json.loads(out)["classes"]["1"]["combined"]
    assert every["hota"] > 0.3
    code, out, _ = run(*given, "--every", "5", "--fps", "10")
    assert code == 0
    fifth = json.loads(out)["classes"]["1"]["combined"]
    assert fifth["true_boxes"] == pytest.approx(every["true_boxes"] / 5, rel=0.25)
    code, _, complaints = run(*given, "--every", "5")
    assert (code, complaints) == (
        2,
        "eyrie: --every: with --video needs --fps, the video's frame rate\n",
    )
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    code, _, complaints = run("--truth", tmp_path / "gt.txt", "--video", tmp_path / "bad.mp4")
    assert (code, complaints.count("\n")) == (2, 1)
    assert "bad.mp4" in complaints


@pytest.mark.parametrize(
    "place",
    [("--out", "."), ("--json", "seq.txt"), ("--json", "found/seq.txt"), ("--out", "found")],
)
def test_results_are_never_written_over_what_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: tuple[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("found").mkdir()
    truth, found = Path("seq.txt"), Path("found/seq.txt")
    truth.write_text("1,1,0,0,5,5,1,1,1\n")
    found.write_text("1,-1,0,0,5,5,0.9\n")
    code, _, complaints = run("--truth", "seq.txt", "--detections", "found", *place)
    assert (code, complaints.count("\n")) == (2, 1)
    assert f"{place[0]}: " in complaints
    assert "is read by this command" in complaints
    assert truth.read_text() == "1,1,0,0,5,5,1,1,1\n"
    assert found.read_text() == "1,-1,0,0,5,5,0.9\n"
