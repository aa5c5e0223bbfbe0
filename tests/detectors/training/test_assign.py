"""Properties of the assignment of anchors to boxes."""

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from torch import Tensor

from detectors.training.assign import Assignment, Targets, TaskAligned, contains
from detectors.yolo_nas.architecture.heads import anchor_grid

CLASSES = 3


def scene(seed: int, pictures: int, most: int) -> tuple[Tensor, Tensor, Tensor, Targets]:
    generator = torch.Generator().manual_seed(seed)
    _, points, strides = anchor_grid([(8, 8), (4, 4), (2, 2)], torch.zeros(1))
    scores = torch.rand(pictures, len(points), CLASSES, generator=generator)
    sides = torch.rand(pictures, len(points), 4, generator=generator) * 3 * strides
    boxes = torch.cat([points - sides[..., :2], points + sides[..., 2:]], -1)
    counts = torch.randint(0, most + 1, (pictures,), generator=generator)
    image = torch.repeat_interleave(torch.arange(pictures), counts)
    corner = torch.rand(len(image), 2, generator=generator) * 40
    size = 4 + torch.rand(len(image), 2, generator=generator) * 40
    ids = torch.randint(0, CLASSES, (len(image),), generator=generator)
    return scores, boxes, points, Targets(image, ids, torch.cat([corner, corner + size], 1))


@pytest.mark.parametrize("seed", range(5))
def test_a_batch_is_assigned_as_its_pictures_one_by_one(seed: int) -> None:
    scores, boxes, points, targets = scene(seed, pictures=4, most=12)
    together = TaskAligned()(scores, boxes, points, targets)
    for n in range(4):
        mine = targets.image == n
        alone = Targets(targets.image[mine] * 0, targets.class_id[mine], targets.xyxy[mine])
        single = TaskAligned()(scores[n : n + 1], boxes[n : n + 1], points, alone)
        torch.testing.assert_close(together.labels[n], single.labels[0])
        torch.testing.assert_close(together.boxes[n], single.boxes[0])
        torch.testing.assert_close(together.scores[n], single.scores[0])


@pytest.mark.parametrize("seed", range(5))
def test_positives_lie_in_a_box_of_their_picture_and_scores_in_the_unit_interval(seed: int) -> None:
    scores, boxes, points, targets = scene(seed, pictures=3, most=10)
    made: Assignment = TaskAligned()(scores, boxes, points, targets)
    picture, anchor = (made.labels < CLASSES).nonzero(as_tuple=True)
    assert len(picture) > 0
    inside = contains(targets.xyxy, points)
    for n, a in zip(picture, anchor, strict=True):
        assert inside[targets.image == n, a].any()
    assert (made.scores >= 0).all()
    assert (made.scores <= 1).all()
    assert (made.scores[made.labels == CLASSES] == 0).all()


def test_a_shared_anchor_goes_to_the_box_that_it_overlaps_most() -> None:
    points = torch.tensor([[8.0, 8.0]])
    predicted = torch.tensor([[[0.0, 0.0, 16.0, 16.0]]])
    close, loose = [0.0, 0.0, 15.0, 16.0], [4.0, 4.0, 30.0, 30.0]
    targets = Targets(torch.tensor([0, 0]), torch.tensor([2, 1]), torch.tensor([loose, close]))
    made = TaskAligned()(torch.full((1, 1, CLASSES), 0.5), predicted, points, targets)
    assert made.labels.tolist() == [[1]]
    assert made.boxes[0, 0].tolist() == close


def test_no_boxes_is_all_background() -> None:
    scores, boxes, points, targets = scene(0, pictures=2, most=0)
    made = TaskAligned()(scores, boxes, points, targets)
    assert (made.labels == CLASSES).all()
    assert made.scores.sum() == 0


def test_a_box_that_holds_no_anchor_learns_only_when_widened() -> None:
    points = torch.tensor([[4.0, 4.0], [12.0, 4.0]])
    predicted = torch.tensor([[[3.0, 1.0, 8.0, 8.0], [9.0, 0.0, 16.0, 8.0]]])
    targets = Targets(torch.tensor([0]), torch.tensor([1]), torch.tensor([[5.0, 1.0, 8.0, 8.0]]))
    scores = torch.full((1, 2, CLASSES), 0.5)
    assert (TaskAligned()(scores, predicted, points, targets).labels == CLASSES).all()
    made = TaskAligned(least_px=8.0)(scores, predicted, points, targets)
    assert made.labels.tolist() == [[1, CLASSES]]
    assert float(made.scores[0, 0]) == pytest.approx(0.6, abs=1e-3)
