"""A run's figures, and what is drawn of them."""

import csv
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorboardX", reason="needs the train extra")
pytest.importorskip("matplotlib", reason="needs the train extra")
pytest.importorskip("torch", reason="needs the train extra")

from detectors.evaluation.average_precision import Found, Truth, evaluate
from detectors.training import plots
from detectors.training.curves import confusion, matched, precision_recall
from detectors.training.data import read_dataset
from detectors.training.report import Report, read_log
from detectors.training.validation import Verdict
from pipeline.core.arrays import F32

NAMES = ("red", "green")


def filled(out: Path) -> None:
    report = Report(out, NAMES, 0)
    for step in (10, 20, 30):
        report.record(step, step * 2, loss=1 / step, cls=0.1, lr=1e-3)
    report.record(30, 60, folder="street", map50=0.5, map50_95=0.25, ap50={"red": 0.4})
    report.close()


def table(out: Path) -> list[dict[str, str]]:
    with (out / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_log_and_table_tell_the_same(tmp_path: Path) -> None:
    filled(tmp_path)
    rows, cells = read_log(tmp_path), table(tmp_path)
    assert [row["step"] for row in rows] == [10, 20, 30, 30]
    assert [float(row["loss"]) for row in cells[:3]] == [row["loss"] for row in rows[:3]]
    assert cells[3]["ap50/red"] == "0.4"
    assert cells[3]["ap50/green"] == cells[3]["loss"] == ""
    assert list((tmp_path / "tensorboard").glob("events.*"))


def test_steps_that_are_made_again_are_told_once(tmp_path: Path) -> None:
    filled(tmp_path)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 31, "pict')
    report = Report(tmp_path, NAMES, 20)
    report.record(30, 60, loss=7.0)
    report.close()
    assert [row["step"] for row in read_log(tmp_path)] == [10, 20, 30]
    assert [row["loss"] for row in table(tmp_path)] == ["0.1", "0.05", "7.0"]


def test_what_is_no_number_is_null(tmp_path: Path) -> None:
    report = Report(tmp_path, NAMES, 0)
    report.record(1, 2, folder="street", map50=0.5, ap50={"red": 0.4, "green": float("nan")})
    report.close()
    assert '"green": null' in (tmp_path / "log.jsonl").read_text()
    assert table(tmp_path)[0]["ap50/green"] == ""


def test_smoothing_gives_early_values_no_extra_weight(tmp_path: Path) -> None:
    filled(tmp_path)
    rows = [{"pictures_seen": n, "loss": loss} for n, loss in enumerate([10.0, 1.0, 1.0])]
    smoothed, raw = plots.losses(rows).axes[0].lines
    assert np.asarray(raw.get_ydata()).tolist() == [10.0, 1.0, 1.0]
    assert np.asarray(smoothed.get_ydata()) == pytest.approx([10.0, 5.263, 3.690], abs=1e-3)


def test_samples_show_labels_and_nothing_covers_the_best(pictures: Path) -> None:
    (picture, *_) = read_dataset(pictures, "val").pictures
    truth = Truth.of(picture)
    xyxy = np.repeat(truth.xyxy[:1], 3, axis=0)
    scores = np.array([0.9, 0.1, 0.5], np.float32)
    found = Found(xyxy, scores, np.array([0, 0, 1]))
    verdict = Verdict("pictures", [picture], [found], [truth], evaluate([found], [truth], 2))
    axes = plots.samples([verdict], NAMES).axes[0]
    assert [text.get_text() for text in axes.texts] == ["green 0.50", "red 0.90"]
    edges = [patch.get_edgecolor()[:3] for patch in axes.patches]
    assert len(edges) == 2 + len(truth.xyxy)
    assert set(edges[2:]) == {(1.0, 1.0, 1.0)}


def boxes(*rows: tuple[float, float, float, float]) -> F32:
    return np.array(rows, np.float32).reshape(-1, 4)


A, B, FAR = (0.0, 0.0, 10.0, 10.0), (20.0, 20.0, 40.0, 40.0), (80.0, 80.0, 90.0, 90.0)
TRUTH = Truth(boxes(A, B), np.array([0, 1]), (0, 1))
SCORES = np.array([0.9, 0.5, 0.8, 0.3], np.float32)
FOUND = Found(boxes(A, A, B, FAR), SCORES, np.array([0, 0, 0, 1]))


def test_each_truth_is_matched_once_by_the_best() -> None:
    assert matched(FOUND.xyxy, FOUND.score, TRUTH.xyxy).tolist() == [0, -1, 1, -1]
    assert matched(FOUND.xyxy, FOUND.score, TRUTH.xyxy[:0]).tolist() == [-1] * 4


def test_precision_over_recall() -> None:
    recall, precision = precision_recall([FOUND], [TRUTH], 0)
    assert recall.tolist() == [1, 1, 1]
    assert precision.tolist() == [1, 1 / 2, 1 / 3]
    recall, _ = precision_recall([FOUND], [TRUTH], 1)
    assert recall.tolist() == [0]
    unlabelled = Truth(TRUTH.xyxy, TRUTH.class_id, (1,))
    assert len(precision_recall([FOUND], [unlabelled], 0)[0]) == 0


def test_what_is_taken_for_what() -> None:
    counts = confusion([FOUND], [TRUTH], 2)
    assert counts.tolist() == [[1, 0, 0], [1, 0, 0], [1, 1, 0]]
    assert counts[:2].sum() == len(TRUTH.class_id)
    nothing = Found(boxes(), np.zeros(0, np.float32), np.zeros(0, np.int64))
    assert confusion([nothing], [TRUTH], 2)[:, 2].tolist() == [1, 1, 0]


def test_plots_are_drawn(pictures: Path, tmp_path: Path) -> None:
    filled(tmp_path)
    found_pictures = read_dataset(pictures, "val").pictures
    truths = [Truth.of(picture) for picture in found_pictures]
    found = [Found(t.xyxy, np.full(len(t.xyxy), 0.9, np.float32), t.class_id) for t in truths]
    metrics = evaluate(found, truths, 2)
    verdict = Verdict("pictures", found_pictures, found, truths, metrics)
    made = plots.draw(tmp_path, [verdict], NAMES)
    assert [path.name for path in made] == [
        "losses.png",
        "precision_recall.png",
        "confusion.png",
        "samples.png",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in made)
    assert [path.name for path in plots.draw(tmp_path, [], NAMES)] == ["losses.png"]
