"""A teacher guides a student on class logits and box distributions; ground truth stays.

Classes: every class is a question of its own, answered yes or no, as the detector's are: binary
cross-entropy of the student's logits against the teacher's probabilities, weighted by the gap
between the two as in the quality focal loss (Li et al., arXiv 2006.04388; for distillation: Yang
et al., "Bridging Cross-task Protocol Inconsistency", arXiv 2308.14286).

Boxes: Kullback-Leibler divergence of the distributions over distances, softened by a temperature
(Zheng et al., "Localization Distillation", arXiv 2102.12252), at anchors where the teacher sees
something, weighted by how sure it is.

A class that nobody annotated in a picture gets no loss from the ground truth there. The teacher has
an opinion on it all the same: partial labels are filled in.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from detectors.training.distributed import ALONE, Processes
from detectors.training.teacher import Teacher, TeacherOutput, load_teacher
from detectors.yolo_nas.architecture.heads import REG_MAX, RawOutput

__all__ = ["DistillationLoss", "DistillationTerms", "Teacher", "TeacherOutput", "load_teacher"]

BINS = REG_MAX + 1
SIDES = 4


@dataclass(frozen=True, slots=True)
class DistillationTerms:
    """Weighted terms, each a scalar divided by the sum of the teacher's scores."""

    cls: Tensor
    dfl: Tensor

    @property
    def total(self) -> Tensor:
        return self.cls + self.dfl


@dataclass(frozen=True, slots=True)
class DistillationLoss:
    """RawOutput and TeacherOutput -> DistillationTerms, in float32 whatever the network ran in.

    The score of an anchor is the teacher's best class probability there. Anchors that score
    `sure` or more teach boxes, and their scores, summed, divide both terms. `focus` is the power of
    the gap between the two probabilities that weighs the class term. `teach_unlabelled=False`
    leaves out classes that nobody annotated in a picture. The mean over `processes` of the losses
    is the loss of the whole batch. The weights make gradients about as large as those of the ground
    truth, early in training.
    """

    cls_weight: float = 3.0
    dfl_weight: float = 1.5
    temperature: float = 2.0
    sure: float = 0.1
    focus: float = 1.0
    teach_unlabelled: bool = True
    processes: Processes = ALONE

    def __call__(
        self, raw: RawOutput, teacher: TeacherOutput, labelled: Tensor | None = None
    ) -> DistillationTerms:
        """`labelled` (B, C) bool: classes that the picture's annotators marked at all."""
        taught = teacher.known.expand(raw.logits.shape[0], -1)
        if labelled is not None and not self.teach_unlabelled:
            taught = taught & labelled
        wanted = teacher.logits.sigmoid() * taught[:, None]
        score = wanted.amax(-1)
        score = score * (score >= self.sure)
        everywhere = self.processes.sum(score.sum())
        divisor = everywhere.clamp(min=1.0) / self.processes.size
        cls = self._classification(raw.logits.float(), wanted, taught)
        dfl = self._distributions(raw.distances.float(), teacher.distances, score)
        return DistillationTerms(self.cls_weight * cls / divisor, self.dfl_weight * dfl / divisor)

    def _classification(self, logits: Tensor, wanted: Tensor, taught: Tensor) -> Tensor:
        weight = (logits.sigmoid() - wanted).abs().pow(self.focus) * taught[:, None]
        entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        return (entropy * weight).sum()

    def _distributions(self, student: Tensor, teacher: Tensor, score: Tensor) -> Tensor:
        """Sum over the sure anchors of score * T^2 * divergence, a mean over the four sides.

        T^2 keeps the gradient's size whatever the temperature (Hinton et al., arXiv 1503.02531).
        """
        picture, anchor = score.nonzero(as_tuple=True)
        ours = self._softened(student[picture, anchor])
        theirs = self._softened(teacher[picture, anchor])
        divergence = functional.kl_div(ours, theirs, reduction="none", log_target=True)
        by_anchor = divergence.sum(-1).mean(-1) * self.temperature**2
        return (by_anchor * score[picture, anchor]).sum()

    def _softened(self, distances: Tensor) -> Tensor:
        """Bin logits (P, 4 * BINS) -> log probabilities (P, 4, BINS)."""
        by_side = distances.reshape(-1, SIDES, BINS)
        return functional.log_softmax(by_side / self.temperature, dim=-1)
