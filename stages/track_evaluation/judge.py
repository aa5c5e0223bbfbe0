"""Tracks of one sequence against its truth, by the rules of MOT Challenge.

- Judged are true boxes of one class whose `conf` is not 0.
- Where that class is pedestrian (1), true boxes of the classes 2 (on a vehicle), 7 (static), 8
  (distractor) and 12 (reflection) are distractors: tracks' boxes paired with them are dropped.
- All other true boxes, such as cars, are as if they were not there.

These are the rules of MOT16 and MOT17 in TrackEval; files of MOT15 and DanceTrack, which have no
such classes, come out as in theirs.
"""

import numpy as np

from stages.track_evaluation.boxes import BoxSequence
from stages.track_evaluation.distractors import without_distractors
from stages.track_evaluation.mot_files import PEDESTRIAN, MotTable
from stages.track_evaluation.scores import TrackScores, evaluate

DISTRACTORS = (2, 7, 8, 12)


def judge(truth: MotTable, tracks: MotTable, class_id: int = PEDESTRIAN) -> TrackScores:
    """Scores of the tracks of this class. Ids of `tracks` are unique in each frame."""
    mine = tracks.rows(tracks.class_id == class_id)
    found = BoxSequence(mine.frame, mine.track_id, mine.xyxy)
    everything = BoxSequence(truth.frame, truth.track_id, truth.xyxy)
    if class_id == PEDESTRIAN:
        distractor = np.isin(truth.class_id, DISTRACTORS)
        found = without_distractors(everything, distractor, found)
    judged = truth.rows((truth.class_id == class_id) & (truth.conf != 0))
    return evaluate(BoxSequence(judged.frame, judged.track_id, judged.xyxy), found)
