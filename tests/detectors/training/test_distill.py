"""A teacher's part of the loss, and teachers from files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from detectors.engines.onnxruntime import OnnxRuntimeEngine
from detectors.training.distill import DistillationLoss, TeacherOutput, load_teacher
from detectors.training.distributed import Processes
from detectors.training.teacher import BINS, ModuleTeacher, check_teacher, distributions
from detectors.yolo_nas.architecture.heads import RawOutput, anchor_grid, decode
from detectors.yolo_nas.architecture.model import build
from detectors.yolo_nas.detector import WEIGHTS
from pipeline.core.errors import ConfigError, EngineLoadError

CLASSES = ("person", "car", "motorcycle", "bus", "truck")
CHECKPOINT, ONNX = WEIGHTS / "yolo_nas_n.pth", WEIGHTS / "yolo_nas_n.onnx"
SIZES = [(4, 4), (2, 2), (1, 1)]
ANCHORS = 21


def raw_of(logits: Tensor, distances: Tensor) -> RawOutput:
    boxes, points, strides = anchor_grid(SIZES, logits)
    return RawOutput(logits, distances, boxes, points, [16, 4, 1], strides)


def outputs(seed: int, classes: int = 3) -> tuple[RawOutput, TeacherOutput]:
    """A student and a teacher who have nothing to do with one another, for two pictures."""
    rng = torch.Generator().manual_seed(seed)
    logits, theirs = torch.randn(2, 2, ANCHORS, classes, generator=rng)
    distances, sides = torch.randn(2, 2, ANCHORS, 4 * BINS, generator=rng)
    raw = raw_of(logits.requires_grad_(), distances.requires_grad_())
    return raw, TeacherOutput(theirs, sides, torch.ones(classes, dtype=torch.bool))


def gradients(loss: Tensor, raw: RawOutput) -> tuple[Tensor, Tensor]:
    wanted = (raw.logits, raw.distances)
    logits, distances = torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
    return logits, distances


@pytest.mark.parametrize("temperature", [1.0, 2.0, 8.0])
def test_a_student_like_its_teacher_is_left_alone(temperature: float) -> None:
    raw, _ = outputs(0)
    same = TeacherOutput(raw.logits.detach(), raw.distances.detach(), torch.ones(3).bool())
    terms = DistillationLoss(temperature=temperature)(raw, same)
    assert terms.dfl.item() == 0
    assert [float(g.abs().max()) for g in gradients(terms.total, raw)] == pytest.approx(
        [0, 0], abs=1e-7
    )


@given(st.integers(0, 10_000), st.floats(1, 10))
def test_terms_are_never_negative(seed: int, temperature: float) -> None:
    raw, teacher = outputs(seed)
    terms = DistillationLoss(temperature=temperature)(raw, teacher)
    assert terms.cls.item() >= 0
    assert terms.dfl.item() >= 0
    assert terms.total.item() == pytest.approx(terms.cls.item() + terms.dfl.item())


def test_following_the_gradient_leads_to_the_teacher() -> None:
    raw, teacher = outputs(1)
    optimizer = torch.optim.Adam([raw.logits, raw.distances], lr=0.1)
    loss, seen = DistillationLoss(), []
    for _ in range(150):
        terms = loss(raw, teacher)
        seen.append(terms.total.item())
        optimizer.zero_grad()
        torch.autograd.backward(terms.total)
        optimizer.step()
    assert seen[-1] < 0.02 * seen[0]
    gap = (raw.logits.sigmoid() - teacher.logits.sigmoid()).abs().max()
    assert gap.item() < 0.05


def test_classes_that_the_teacher_lacks_are_not_taught() -> None:
    raw, teacher = outputs(2)
    lacking = teacher._replace(known=torch.tensor([True, False, True]))
    logits, _ = gradients(DistillationLoss()(raw, lacking).total, raw)
    assert not logits[..., 1].any()
    assert logits[..., [0, 2]].all()
    changed = teacher.logits.clone()
    changed[..., 1] = 99
    again = DistillationLoss()(raw, lacking._replace(logits=changed))
    assert again.total.item() == DistillationLoss()(raw, lacking).total.item()


def test_unlabelled_classes_are_taught_unless_told_otherwise() -> None:
    raw, teacher = outputs(3)
    labelled = torch.tensor([[True, False, True], [True, True, True]])
    taught, _ = gradients(DistillationLoss()(raw, teacher, labelled).total, raw)
    assert taught[0, :, 1].all()
    kept_out, _ = gradients(
        DistillationLoss(teach_unlabelled=False)(raw, teacher, labelled).total, raw
    )
    assert not kept_out[0, :, 1].any()
    assert kept_out[1, :, 1].all()


def test_boxes_are_taught_only_where_the_teacher_is_sure() -> None:
    raw, teacher = outputs(4)
    logits = torch.full_like(teacher.logits, -5.0)
    logits[0, 7, 2] = 3.0
    _, distances = gradients(DistillationLoss()(raw, teacher._replace(logits=logits)).total, raw)
    assert distances[0, 7].any()
    distances[0, 7] = 0
    assert not distances.any()


def test_a_teacher_that_sees_nothing_gives_a_finite_loss() -> None:
    raw, teacher = outputs(5)
    nothing = teacher._replace(logits=torch.full_like(teacher.logits, -30.0))
    terms = DistillationLoss()(raw, nothing)
    assert terms.dfl.item() == 0
    assert torch.isfinite(terms.total)
    assert all(torch.isfinite(g).all() for g in gradients(terms.total, raw))


def test_bfloat16_students_are_measured_in_float32() -> None:
    raw, teacher = outputs(6)
    low = raw_of(raw.logits.bfloat16(), raw.distances.bfloat16())
    back = raw_of(low.logits.float(), low.distances.float())
    terms, wanted = DistillationLoss()(low, teacher), DistillationLoss()(back, teacher)
    assert terms.total.dtype == torch.float32
    assert terms.total.item() == wanted.total.item()


def test_the_mean_over_processes_is_the_loss_of_the_whole_batch() -> None:
    raw, teacher = outputs(7)
    whole = DistillationLoss()(raw, teacher).total.item()
    score = teacher.logits.sigmoid().amax(-1)
    everywhere = (score * (score >= DistillationLoss().sure)).sum()

    class OneOfTwo(Processes):
        def sum(self, values: Tensor) -> Tensor:
            assert float(values) < float(everywhere)
            return everywhere

    halves = []
    for half in (slice(0, 1), slice(1, 2)):
        mine = raw_of(raw.logits[half], raw.distances[half])
        said = TeacherOutput(teacher.logits[half], teacher.distances[half], teacher.known)
        halves.append(DistillationLoss(processes=OneOfTwo(0, 2))(mine, said).total.item())
    assert sum(halves) / 2 == pytest.approx(whole, rel=1e-5)


@given(st.integers(0, 1000))
def test_rebuilt_distributions_decode_to_their_boxes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    _, points, strides = anchor_grid([(8, 12), (4, 6), (2, 3)], torch.zeros(1))
    sides = torch.from_numpy(rng.uniform(0, 16, (2, len(points), 4)).astype(np.float32))
    boxes = torch.cat([points - sides[..., :2] * strides, points + sides[..., 2:] * strides], -1)
    made = distributions(boxes, (64, 96))
    back = decode(made, points, strides, torch.arange(BINS, dtype=torch.float32))
    assert float(((back - boxes) / strides).abs().max()) < 1e-3


def test_distances_beyond_the_bins_are_cut() -> None:
    far = torch.tensor([[[-1000.0, 8.0, 1000.0, 2.0]]])  # right of its own bottom, too
    made = distributions(far, (8, 8)).reshape(4, BINS)
    assert made.argmax(-1).tolist() == [16, 0, 16, 0]


@pytest.fixture(scope="module")
def images() -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, 416, 416, generator=rng)


def test_a_checkpoint_teaches_what_its_network_says(images: Tensor) -> None:
    from detectors.yolo_nas.checkpoints import checkpoint

    small = images[..., :64, :96].contiguous(memory_format=torch.channels_last)
    said = load_teacher(CHECKPOINT, CLASSES, bf16=False)(small)
    with torch.no_grad():
        _, raw = checkpoint.read(CHECKPOINT).module()(small)
    torch.testing.assert_close(said.logits, raw.logits, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(said.distances, raw.distances, atol=1e-3, rtol=1e-3)
    assert said.known.all()
    assert not said.logits.requires_grad


def test_classes_are_matched_by_name(images: Tensor) -> None:
    small = images[..., :32, :32]
    straight = load_teacher(CHECKPOINT, CLASSES, bf16=False)(small)
    other = load_teacher(CHECKPOINT, ("bus", "zebra", " Car"), bf16=False)(small)
    assert other.known.tolist() == [True, False, True]
    assert torch.equal(other.logits[..., [0, 2]], straight.logits[..., [3, 1]])


def test_teacher_and_student_need_a_class_in_common() -> None:
    with pytest.raises(
        ConfigError, match=r"--teacher: yolo_nas_n.pth knows none of the classes fox"
    ):
        load_teacher(CHECKPOINT, ("fox", "zebra"))


def test_an_onnx_teacher_says_what_its_checkpoint_says(images: Tensor) -> None:
    said = load_teacher(ONNX, CLASSES)(images)
    boxes, scores = OnnxRuntimeEngine(ONNX, 1).run(images.numpy())
    torch.testing.assert_close(
        said.logits.sigmoid(), torch.from_numpy(scores), atol=2e-6, rtol=1e-5
    )
    sizes = [(416 // s, 416 // s) for s in (8, 16, 32)]
    _, points, strides = anchor_grid(sizes, images)
    back = decode(said.distances, points, strides, torch.arange(BINS, dtype=torch.float32))
    assert float(((back - torch.from_numpy(boxes)) / strides).abs().max()) < 1e-2


def test_an_onnx_teacher_refuses_other_sizes(images: Tensor) -> None:
    teacher = load_teacher("yolo_nas_n_int8", CLASSES)
    with pytest.raises(
        ConfigError, match="takes pictures of 416x416 only, training has them at 64x96"
    ):
        teacher(images[..., :64, :96])


def test_pictures_are_shown_as_the_teacher_knows_them() -> None:
    teacher = load_teacher(CHECKPOINT, CLASSES, bf16=False)
    assert isinstance(teacher, ModuleTeacher)
    subject = teacher._subject
    odd = replace(subject.processing, color="bgr", mean=(10.0, 20.0, 30.0), std=(50.0, 60.0, 70.0))
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    flat = replace(odd, letterbox=replace(odd.letterbox, height=32, width=32, fit=None))
    wanted, _ = flat.prepare(picture)
    shown = torch.from_numpy(picture.transpose(2, 0, 1)[None].astype(np.float32)) / 255
    torch.testing.assert_close(
        replace(subject, processing=odd).show(shown)[0],
        torch.from_numpy(wanted),
        atol=1e-5,
        rtol=1e-5,
    )


def test_one_step_with_a_teacher_moves_a_student_towards_it(images: Tensor) -> None:
    torch.manual_seed(0)
    small = images[..., :64, :64].to(memory_format=torch.channels_last)
    student = build("yolo_nas_n", len(CLASSES)).train()
    said = load_teacher(CHECKPOINT, CLASSES)(small)
    optimizer = torch.optim.AdamW([p for p in student.parameters() if p.requires_grad], lr=1e-3)
    totals = []
    for _ in range(6):
        with torch.autocast("cpu", torch.bfloat16):
            raw = student.heads.raw(student.neck(*student.backbone(small)))
        total = DistillationLoss()(raw, said).total
        totals.append(total.item())
        optimizer.zero_grad()
        torch.autograd.backward(total)
        optimizer.step()
    assert totals[-1] < totals[0]


def test_file_that_is_no_model(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(EngineLoadError, match=r"broken\.onnx"):
        load_teacher(broken, CLASSES)


def test_a_bundled_name_is_its_checkpoint_where_there_is_one() -> None:
    assert isinstance(load_teacher("yolo_nas_n", CLASSES), ModuleTeacher)
    check_teacher("yolo_nas_n", (256, 416))


def test_a_teacher_is_checked_without_any_data() -> None:
    with pytest.raises(ConfigError, match=r"yolo_nas_n\.onnx takes pictures of .* at 256x256"):
        check_teacher(ONNX, (256, 416))
    with pytest.raises(EngineLoadError, match="nowhere"):
        check_teacher("nowhere.pth", (416,))
