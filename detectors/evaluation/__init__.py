"""How good detections are: COCO mean average precision, each class only where it is labelled.

average_precision   quick, in NumPy: for the training loop and the benchmarks
coco                by pycocotools: also by size, for what is reported
model               a model file on a data set
"""

from detectors.evaluation.average_precision import EVALUATION_RULE, Found, Metrics, Truth, evaluate
from detectors.evaluation.coco import ClassScore, Scores, score
from detectors.evaluation.model import Evaluation, evaluate_model, find

__all__ = [
    "EVALUATION_RULE",
    "ClassScore",
    "Evaluation",
    "Found",
    "Metrics",
    "Scores",
    "Truth",
    "evaluate",
    "evaluate_model",
    "find",
    "score",
]
