"""All scores of tracks against the truth."""

from dataclasses import dataclass

from stages.track_evaluation.boxes import BoxSequence, Overlaps
from stages.track_evaluation.clear_mot import ClearMot, clear_mot
from stages.track_evaluation.hota import Hota, hota
from stages.track_evaluation.identity import Identity, identity


@dataclass(frozen=True, slots=True)
class TrackScores:
    """The scores of one sequence, or of several together: `a + b` sums what is counted, as MOT
    Challenge and TrackEval combine sequences. It is no mean of their scores."""

    hota: Hota
    clear: ClearMot
    identity: Identity

    def __add__(self, other: "TrackScores") -> "TrackScores":
        return TrackScores(
            self.hota + other.hota, self.clear + other.clear, self.identity + other.identity
        )

    def figures(self) -> dict[str, float | int]:
        """Shares in [0, 1] (MOTA may be negative), rounded to 5 digits, and counts."""
        shares = {
            "hota": self.hota.hota,
            "det_a": self.hota.det_a,
            "ass_a": self.hota.ass_a,
            "loc_a": self.hota.loc_a,
            "mota": self.clear.mota,
            "idf1": self.identity.idf1,
        }
        return {name: round(share, 5) for name, share in shares.items()} | {
            "id_switches": self.clear.switches,
            "false_positives": self.clear.false_positives,
            "false_negatives": self.clear.false_negatives,
            "fragments": self.clear.fragments,
            "mostly_tracked": self.clear.mostly_tracked,
            "mostly_lost": self.clear.mostly_lost,
            "true_boxes": self.clear.true_positives + self.clear.false_negatives,
        }


def evaluate(truth: BoxSequence, found: BoxSequence) -> TrackScores:
    """Scores of one sequence."""
    overlaps = Overlaps.of(truth, found)
    return TrackScores(hota(overlaps), clear_mot(overlaps), identity(overlaps))
