"""Our scores against TrackEval's for the same files; `trackeval_golden.py` makes them."""

import json
from functools import reduce
from operator import add
from pathlib import Path

import pytest

from stages.track_evaluation import TrackScores
from stages.track_evaluation.judge import judge
from stages.track_evaluation.mot_files import read_mot

GOLDEN = Path(__file__).parent / "golden"
EXPECTED = json.loads((GOLDEN / "scores.json").read_text())["scores"]
SEQUENCES = [name for name in EXPECTED if name != "COMBINED_SEQ"]


def judged(sequence: str) -> TrackScores:
    truth = read_mot(GOLDEN / "truth" / sequence / "gt" / "gt.txt", identities=True)
    tracks = read_mot(GOLDEN / "tracks/ours/data" / f"{sequence}.txt", identities=True)
    return judge(truth, tracks.of_one_class(1))


def assert_same(scores: TrackScores, expected: dict[str, float]) -> None:
    figures = scores.figures()
    assert {name: figures[name] for name in expected} == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_a_sequence_has_the_scores_of_trackeval(sequence: str) -> None:
    assert_same(judged(sequence), EXPECTED[sequence])


def test_sequences_together_have_the_scores_of_trackeval() -> None:
    assert_same(reduce(add, map(judged, SEQUENCES)), EXPECTED["COMBINED_SEQ"])


def test_distractors_matter_in_the_golden_files() -> None:
    name = SEQUENCES[0]
    truth = read_mot(GOLDEN / "truth" / name / "gt" / "gt.txt", identities=True)
    tracks = read_mot(GOLDEN / "tracks/ours/data" / f"{name}.txt", identities=True).of_one_class(1)
    without = judge(truth.rows(truth.class_id == 1), tracks)
    assert without.clear.false_positives > 10 * EXPECTED[name]["false_positives"]
