"""Every kind of checkpoint loads to the network it was saved from; what is not one is refused."""

import collections
import hashlib
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from torch import Tensor

from detectors.letterbox import Letterbox
from detectors.yolo_nas.architecture.model import YoloNASModule
from detectors.yolo_nas.checkpoints import coco, download
from detectors.yolo_nas.checkpoints.checkpoint import WEIGHTS, CheckpointError, identify, read
from detectors.yolo_nas.postprocess import Suppression

FORMS = ("branches", "partial", "full")

State = dict[str, Tensor]
Filled = Callable[[str, int], YoloNASModule]

FINE_TUNED: dict[str, Any] = {
    "class_names": ["cat", "dog", "hen", "cow", "ewe", "pig", "ox"],
    "image_processor": {
        "ComposeProcessing": {
            "processings": [
                "ReverseImageChannels",
                {"DetectionLongestMaxSizeRescale": {"output_shape": [640, 640]}},
                {"DetectionBottomRightPadding": {"output_shape": [640, 640], "pad_value": 114}},
                {"ImagePermute": {"permutation": (2, 0, 1)}},
                {"StandardizeImage": {"max_value": 255.0}},
            ]
        }
    },
    "iou": 0.65,
    "conf": np.float64(0.5),
}
HUGE: dict[str, Any] = {
    "class_names": ["a", "b"],
    "image_processor": [{"DetectionRescale": {"output_shape": (64000, 64000)}}],
}
OURS: dict[str, Any] = {
    "variant": "yolo_nas_n",
    "class_names": ["cat", "dog"],
    "input_size": [64, 96],
    "step": 7,
    "pictures_seen": 112,
    "seed": 3,
    "data": ["pictures"],
}


@pytest.fixture(scope="module")
def small(filled: Filled) -> State:
    """A state dict of n with two classes."""
    return filled("yolo_nas_n", 2).state_dict()


@pytest.fixture
def save(tmp_path: Path) -> Callable[[Any], Path]:
    def write(content: Any) -> Path:
        torch.save(content, tmp_path / "c.pth")
        return tmp_path / "c.pth"

    return write


Save = Callable[[Any], Path]


def outputs(model: YoloNASModule) -> tuple[Tensor, Tensor]:
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        (boxes, scores), _ = model(images)
    return boxes, scores


def blank(state: State) -> State:
    return {key: torch.zeros_like(value) for key, value in state.items()}


def prefixed(state: State) -> State:
    return {f"module.{key}": value for key, value in state.items()}


@pytest.mark.parametrize(
    ("wrapped", "weights"),
    [
        (lambda state: state, "state_dict"),
        (prefixed, "state_dict"),
        (lambda state: collections.OrderedDict(reversed(state.items())), "state_dict"),
        (lambda state: {"net": state}, "net"),
        (lambda state: {"net": blank(state), "ema_net": state}, "ema_net"),
        (lambda state: {"net": blank(state), "ema_net": prefixed(state)}, "ema_net"),
        (lambda state: {"net": state, "ema_net": None, "epoch": 4}, "net"),
        (lambda state: {"net": {k: torch.nn.Parameter(v, False) for k, v in state.items()}}, "net"),
    ],
    ids=["bare", "parallel", "reversed", "net", "ema", "parallel-ema", "no-ema", "parameters"],
)
def test_weights_are_found_wherever_they_are(
    small: State, save: Save, wrapped: Callable[[State], Any], weights: str
) -> None:
    checkpoint = read(save(wrapped(small)))
    assert (checkpoint.variant, checkpoint.form) == ("yolo_nas_n", "branches")
    assert checkpoint.weights == weights
    assert set(checkpoint.state) == set(small)
    for key, value in small.items():
        torch.testing.assert_close(checkpoint.state[key], value, rtol=0, atol=0)
    model = checkpoint.module()
    assert not model.training
    assert model.num_classes == 2


@pytest.mark.parametrize("form", FORMS)
def test_fused_checkpoints_compute_what_they_did(filled: Filled, save: Save, form: str) -> None:
    model = filled("yolo_nas_n", 3)
    if form != "branches":
        model.fuse(full=form == "full")
    checkpoint = read(save({"net": model.state_dict()}))
    assert checkpoint.form == form
    for found, wanted in zip(outputs(checkpoint.module()), outputs(model), strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("yolo_nas_s", ("yolo_nas_s", 80)),
        ("yolo_nas_s_nc7", ("yolo_nas_s", 7)),
        ("yolo_nas_m", ("yolo_nas_m", 80)),
        ("yolo_nas_l", ("yolo_nas_l", 80)),
    ],
)
def test_public_variants_are_known_by_keys_and_shapes(
    file: str, wanted: tuple[str, int], shared_dir: Path
) -> None:
    path = shared_dir / "yolo_nas" / "parity" / f"{file}_keys.json"
    variant, classes = wanted
    for form, keys in zip(FORMS, json.loads(path.read_text())["keys"].values(), strict=True):
        shapes = {key: tuple(shape) for key, shape, _ in keys}
        assert identify(shapes) == (variant, form, classes)


def test_half_precision_loads_in_single(small: State, save: Save) -> None:
    halved = {k: v.half() if v.is_floating_point() else v for k, v in small.items()}
    checkpoint = read(save({"ema_net": halved, **OURS}))
    dtypes = {value.dtype for value in checkpoint.state.values()}
    assert dtypes == {torch.float32, torch.int64}
    key = "heads.head1.cls_pred.weight"
    torch.testing.assert_close(checkpoint.state[key], halved[key].float(), rtol=0, atol=0)


def test_our_own_checkpoint_says_what_it_is(small: State, save: Save) -> None:
    path = save({"ema_net": small, "optimizer_state_dict": {"state": {}}, **OURS})
    checkpoint = read(path)
    assert checkpoint.processing.class_names == ("cat", "dog")
    assert checkpoint.processing.letterbox == Letterbox(64, 96)
    assert (checkpoint.processing.color, checkpoint.processing.rule) == ("rgb", Suppression())
    assert checkpoint.about == {"step": 7, "pictures_seen": 112, "seed": 3, "data": ["pictures"]}
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_bundled_checkpoint_loads_by_name() -> None:
    checkpoint = read("yolo_nas_n")
    assert checkpoint.path == WEIGHTS / "yolo_nas_n.pth"
    assert checkpoint.processing.class_names == ("person", "car", "motorcycle", "bus", "truck")
    boxes, scores = outputs(checkpoint.module())
    assert boxes.isfinite().all()
    assert scores.shape == (2, 126, 5)


def test_a_fine_tuned_checkpoint_brings_its_processing(filled: Filled, save: Save) -> None:
    state = filled("yolo_nas_n", 7).state_dict()
    metrics = {"valid": {"mAP": np.float32(0.5)}, "tracked_metric_name": "mAP"}
    content = {
        "net": blank(state),
        "ema_net": state,
        "acc": torch.tensor(0.25),
        "epoch": 12,
        "metrics": metrics,
        "packages": {"torch": "1.13"},
        "processing_params": FINE_TUNED,
    }
    checkpoint = read(save(content))
    processing = checkpoint.processing
    assert processing.class_names == tuple(FINE_TUNED["class_names"])
    assert processing.color == "bgr"
    assert processing.letterbox == Letterbox(640, 640, "bottom_right")
    assert processing.rule == Suppression(conf=0.5, iou=0.65)
    assert checkpoint.about == {"epoch": 12, "acc": 0.25}


def test_eighty_classes_without_a_word_are_those_of_coco(filled: Filled, save: Save) -> None:
    checkpoint = read(save({"net": filled("yolo_nas_n", 80).state_dict()}))
    assert checkpoint.processing == coco.PROCESSING


def test_other_classes_without_a_word_are_numbered_with_a_warning(
    small: State, save: Save, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        checkpoint = read(save(small))
    assert checkpoint.processing.class_names == ("0", "1")
    assert checkpoint.processing.letterbox == coco.PROCESSING.letterbox
    assert "says nothing of classes and preparation" in caplog.text


def without(key: str) -> Callable[[State], State]:
    return lambda state: {name: value for name, value in state.items() if name != key}


def changed(key: str, value: Any) -> Callable[[State], State]:
    return lambda state: {**state, key: value}


def ours(**entries: Any) -> Callable[[State], Any]:
    return lambda state: {"net": state, **OURS, **entries}


STEM = "backbone.stem.conv.branch_1x1.bias"
MEAN = "backbone.stem.conv.post_bn.running_mean"
VAR = "backbone.stem.conv.post_bn.running_var"
REPARAM = "backbone.stem.conv.rbr_reparam"
PRED = "heads.head1.cls_pred.weight"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without(STEM), rf"is not a yolo_nas_n \(branches\): lacks {STEM}"),
        (changed("extra.weight", torch.ones(1)), r"has unknown extra\.weight"),
        (changed(STEM, torch.ones(3)), rf"has {STEM} of \(3,\) instead of \(16,\)"),
        (changed(STEM, torch.full((16,), torch.nan)), f"{STEM} is not finite: the training had di"),
        (changed(STEM, torch.full((16,), 1e300, dtype=torch.float64)), f"{STEM} is not finite"),
        (changed(VAR, torch.full((16,), -1.0)), f"{VAR} has negative variances: the file is dam"),
        (changed(STEM, torch.ones(16, dtype=torch.int8)), f"{STEM} is of int8: quantized weights"),
        (changed(PRED, torch.ones(2, 50, 1, 1)), f"is of no known variant: {PRED} is"),
        (changed(PRED, torch.ones(0, 48, 1, 1)), "is of no known variant"),
        (
            changed(PRED, torch.ones(3, 48, 1, 1)),
            r"has heads\.head1\.cls_pred\.bias of \(2,\) inst",
        ),
        (changed(PRED, torch.ones(2, 64, 1, 1)), r"is not a yolo_nas_s .* and \d+ more"),
        (without(PRED), f"is not of a YOLO-NAS detector: it lacks {PRED}"),
        (changed("module", "x"), "holds neither ema_net nor net; it has module"),
        (lambda state: {f"module.{k}" if k != STEM else k: v for k, v in state.items()}, "lacks"),
        (lambda state: {"model": state}, "holds neither ema_net nor net; it has model"),
        (lambda state: {"net": 5}, "net is not a state dict"),
        (lambda state: {"net": {"a": 1.0}}, "holds in net not only tensors; it has a"),
        (lambda state: {}, "holds neither ema_net nor net; it has nothing"),
        (lambda state: [state], "holds a list, not a dict of weights"),
        (
            lambda state: {"net": state, **OURS, "variant": "yolo_nas_s"},
            "says that it is 'yolo_nas_s",
        ),
        (
            lambda state: {"net": state, **OURS, "class_names": ["a"]},
            "names 1 classes, but its wei",
        ),
        (lambda state: {"net": state, **OURS, "input_size": [50, 50]}, "must be multiples of 32"),
        (
            lambda state: {"net": state, "processing_params": [1]},
            "processing_params are a list, no",
        ),
        (
            lambda state: {"net": state, "processing_params": HUGE},
            "must be at most 4096 pixels a s",
        ),
        (lambda state: {"net": state, "class_names": ["a", "b"]}, "lacks the entry 'input_size'"),
        (ours(class_names="ab"), "class_names must be a list, got 'ab'"),
        (ours(class_names=np.array(["a", "b"])), r"class_names must be a list, got array"),
        (ours(class_names=["a", "a"]), "class_names hold 'a' twice: give every class its own"),
        (ours(input_size=[64.7, 96.2]), r"input_size must be two whole numbers, .* got \[64\.7"),
        (ours(input_size=64), "input_size must be two whole numbers, height and width, got 64"),
        (ours(best=torch.empty(0).as_strided((10**9, 0), (1, 1))), "out of its storage"),
        (ours(acc=torch.zeros(2000)), r"acc is a tensor of \(2000,\), which no metric is"),
        (lambda state: {"net": state, "processing_params": FINE_TUNED}, "names 7 classes, but its"),
        (
            lambda state: {"net": state, "processing_params": {"x": 1}},
            "unknown processing parameter",
        ),
    ],
)
def test_whatever_differs_is_told_in_one_line(
    small: State, save: Save, change: Callable[[State], Any], said: str
) -> None:
    with pytest.raises(CheckpointError, match=said) as caught:
        read(save(change(small)))
    assert str(caught.value).startswith("checkpoint ")
    assert "\n" not in str(caught.value)


def test_equal_shapes_under_other_names_are_refused_with_the_reason(
    small: State, save: Save
) -> None:
    renamed = {f"m.{k}" if "stem" in k else k: v for k, v in small.items()}
    with pytest.raises(CheckpointError, match="all shapes match in order, but only equal names"):
        read(save(renamed))


def test_only_place_holders_may_hold_anything(small: State, save: Save, filled: Filled) -> None:
    junk = {f"{REPARAM}.bias": torch.full((16,), torch.inf)}
    assert read(save({**small, **junk})).form == "branches"
    fused = filled("yolo_nas_n", 2).fuse().state_dict()
    with pytest.raises(CheckpointError, match=f"{REPARAM}.bias is not finite"):
        read(save({**fused, **junk}))


def test_a_hostile_checkpoint_is_refused_and_runs_nothing(
    small: State, save: Save, tmp_path: Path
) -> None:
    class Command:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'touched'}",)

    with pytest.raises(CheckpointError, match=r"wants to call posix\.system: refused"):
        read(save({"ema_net": small, "metrics": {"valid": Command()}, **OURS}))
    assert not (tmp_path / "touched").exists()


def test_the_checksum_is_compared_before_anything_is_read(small: State, save: Save) -> None:
    path = save({"ema_net": small, **OURS})
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read(path, sha256=right.upper()).sha256 == right
    path.write_bytes(b"no checkpoint at all")
    found = hashlib.sha256(b"no checkpoint at all").hexdigest()
    with pytest.raises(CheckpointError, match=f"its SHA-256 is {found}, not {right}"):
        read(path, sha256=right)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere.pth", r"checkpoint nowhere\.pth: No such file or directory"),
        (".", "Is a directory"),
        ("a" * 300, "File name too long"),
        ("a\0b", "embedded null byte"),
        ("yolo_nas_l_coco", "no commercial and no production use"),
        ("https://example.invalid/x.pth", "not a file that Eyrie knows"),
    ],
)
def test_what_cannot_be_had_is_told_in_one_line(source: str, said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        read(source)


def test_a_downloaded_checkpoint_is_read(
    small: State, save: Save, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = save({"ema_net": small, **OURS})
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(download.RELEASES, "yolo_nas_s_coco", download.Release(("x://",), right))
    kept = tmp_path / "eyrie" / f"{right[:16]}-checkpoint.pth"
    kept.parent.mkdir()
    path.rename(kept)
    checkpoint = read("yolo_nas_s_coco", accept_licence=True)
    assert (checkpoint.path, checkpoint.sha256) == (kept, right)
