"""How well tracks agree with the truth: HOTA, CLEAR MOT and identity scores."""

from stages.track_evaluation.boxes import BoxSequence
from stages.track_evaluation.scores import TrackScores, evaluate

__all__ = ["BoxSequence", "TrackScores", "evaluate"]
