"""Beginning from a checkpoint: what is kept, what is made anew."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch

from detectors.letterbox import Letterbox
from detectors.training.parameters import placeholders
from detectors.training.start import begin, like
from detectors.yolo_nas.architecture.model import YoloNASModule, build
from detectors.yolo_nas.checkpoints.checkpoint import Checkpoint
from detectors.yolo_nas.processing import Processing
from pipeline.core.errors import ConfigError


def checkpoint(
    *names: str, bgr: bool = False, partial: bool = False, full: bool = False
) -> tuple[Checkpoint, YoloNASModule]:
    torch.manual_seed(3)
    model = build("yolo_nas_n", len(names)).eval()
    if partial or full:
        model.fuse(full=full)
    made = Checkpoint(
        path=Path("a.pth"),
        sha256="",
        variant="yolo_nas_n",
        form="full" if full else "partial" if partial else "branches",
        weights="ema_net",
        state=model.state_dict(),
        processing=Processing(names, Letterbox(64, 64), color="bgr" if bgr else "rgb"),
    )
    return made, model


def test_the_same_classes_are_the_same_network() -> None:
    source, _ = checkpoint("red", "green")
    begun = begin("yolo_nas_n", ("red", "green"), source)
    assert begun.notes == ()
    assert begun.model.training
    state = begun.model.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in source.state.items())


def test_classes_of_one_name_keep_their_predictions() -> None:
    source, _ = checkpoint("red", "green", "blue")
    begun = begin("yolo_nas_n", ("black", "blue", "red", "white"), source)
    assert begun.notes == (
        "class predictions kept: blue, red",
        "class predictions begun anew: black, white",
        "dropped from the checkpoint: green",
    )
    state = begun.model.state_dict()
    for key, value in source.state.items():
        if "cls_pred" not in key:
            assert torch.equal(value, state[key])
            continue
        assert len(state[key]) == 4
        assert torch.equal(state[key][1], value[2])
        assert torch.equal(state[key][2], value[0])
    assert list(state) == list(build("yolo_nas_n", 4).state_dict())
    assert state["heads.head1.cls_pred.bias"][0] == pytest.approx(-4.595, abs=1e-3)
    (boxes, scores), _ = begun.model.eval()(torch.zeros(1, 3, 64, 64))
    assert boxes.shape[1:] == (84, 4)
    assert scores.shape[1:] == (84, 4)


def test_bgr_networks_are_turned_round() -> None:
    source, model = checkpoint("red", bgr=True)
    begun = begin("yolo_nas_n", ("red",), source)
    assert "BGR" in begun.notes[0]
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        (boxes, scores), _ = begun.model.eval()(image)
        (wanted, wanted_scores), _ = model(image.flip(1))
    torch.testing.assert_close(boxes, wanted, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(scores, wanted_scores, rtol=1e-4, atol=1e-5)


def test_a_partly_fused_network_trains_without_placeholders() -> None:
    source, _ = checkpoint("red", partial=True)
    model = begin("yolo_nas_n", ("red",), source).model
    assert not placeholders(model)
    assert all(parameter.requires_grad for parameter in model.parameters())
    again = like("yolo_nas_n", 1, model.state_dict())
    again.load_state_dict(model.state_dict())
    assert again.training
    assert all(parameter.requires_grad for parameter in again.parameters())


def test_what_cannot_be_begun_from() -> None:
    source, _ = checkpoint("red")
    with pytest.raises(ConfigError, match=r"--from: the checkpoint is a yolo_nas_n.*yolo_nas_s"):
        begin("yolo_nas_s", ("red",), source)
    fused, _ = checkpoint("red", full=True)
    with pytest.raises(ConfigError, match="fused for inference"):
        begin("yolo_nas_n", ("red",), fused)


def test_a_folded_network_computes_the_same_and_learns_without_norms() -> None:
    source, model = checkpoint("red", "green", full=True)
    begun = begin("yolo_nas_n", ("red", "green"), source, folded=True).model
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in begun.modules())
    assert all(parameter.requires_grad for parameter in begun.parameters())
    images = torch.rand(1, 3, 64, 64)
    (boxes, scores), _ = begun.eval()(images)
    (expected, their_scores), _ = model(images)
    torch.testing.assert_close(boxes, expected, atol=1e-2, rtol=1e-4)
    torch.testing.assert_close(scores, their_scores, atol=1e-4, rtol=1e-3)
    again = like("yolo_nas_n", 2, begun.state_dict())
    again.load_state_dict(begun.state_dict())
    assert all(parameter.requires_grad for parameter in again.parameters())


def test_only_a_trained_network_is_folded() -> None:
    with pytest.raises(ConfigError, match="folded: only a trained network"):
        begin("yolo_nas_n", ("red",), folded=True)
