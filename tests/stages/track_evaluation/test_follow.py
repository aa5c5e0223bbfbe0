"""Detections of a file through the tracker, and confidences that are no scores."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stages.track_evaluation.follow import as_scores, follow, table_of
from stages.track_evaluation.mot_files import read_mot
from stages.tracking import Tracker


def test_a_box_that_walks_keeps_its_id_and_gaps_are_frames_too(tmp_path: Path) -> None:
    path = tmp_path / "det.txt"
    seen = [1, 2, 3, 4, 8, 9, 10]
    path.write_text("".join(f"{frame},-1,{10 + 2 * frame},50,40,90,0.9\n" for frame in seen))
    tracks = follow(Tracker(), read_mot(path, identities=False), 12, 30.0)
    table = table_of(tracks)
    assert len(tracks) == 12
    assert table.frame.tolist() == [frame - 1 for frame in seen]
    assert len(set(table.track_id.tolist())) == 1


def test_scores_that_are_scores_stay() -> None:
    conf = np.array([0.0, 0.25, 1.0])
    assert as_scores(conf) is conf


@given(st.lists(st.floats(-50, 200), min_size=2, max_size=30))
def test_other_confidences_become_ranks(conf: list[float]) -> None:
    given_conf = np.array([*conf, 300.0])
    scores = as_scores(given_conf)
    assert ((scores >= 0.3) & (scores <= 0.95)).all()
    order = np.argsort(given_conf)
    assert (np.diff(scores[order]) >= 0).all()
    assert scores.max() == scores[-1]
