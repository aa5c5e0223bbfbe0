"""A run from checkpoint to INT8 file: what it starts with, what it learns, what it writes."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch", reason="needs the train extra")

import onnx
import onnxruntime
import torch

from detectors.quantize.post_training import QUANTIZATION_KEY, quantized
from detectors.quantize.qat import TRAINED, Start, finish, rules_of_thumb
from detectors.training.data import Mixer
from detectors.training.learner import Learner
from detectors.training.recipes import PRESETS, Length
from detectors.training.trainer import Trainer
from detectors.yolo_nas.checkpoints import checkpoint
from pipeline.cli.app import app
from pipeline.core.errors import ConfigError, DetectorError
from tests.detectors.quantize.qat_start import (
    begun,
    noise,
    recipe,
    write_checkpoint,
    write_pictures,
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """So small a network only waits for a second one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("data") / "pictures")


@pytest.fixture(scope="module")
def learning(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Start, Path]:
    """A start that learns its ranges, and its folder."""
    folder = tmp_path_factory.mktemp("qat") / "run"
    return begun(folder, pictures, learn_ranges=True), folder


def test_recipe_follows_the_published_rules_of_thumb() -> None:
    base = PRESETS["finetune"]
    made = rules_of_thumb(base)
    assert made.budget == Length(10, "epochs")
    assert made.warmup == Length(1, "epochs")
    assert made.lr == pytest.approx(base.lr / 100)
    assert made.weight_decay == pytest.approx(base.weight_decay / 100)
    assert (made.final_lr_share, made.ema_limit, made.average) == (0.01, 0.0, 0)
    assert (made.batch, made.policy) == (base.batch, base.policy)
    assert rules_of_thumb(base, learn_ranges=True).batch == base.batch // 2
    short = rules_of_thumb(replace(base, budget=Length(20, "epochs")))
    assert (short.budget.count, short.warmup.count) == (2, 1)
    assert rules_of_thumb(PRESETS["eyrie"]).warmup == Length(2500, "pictures")


def test_forty_steps_lower_the_loss_in_8_bits(pictures: Path, learning: tuple[Start, Path]) -> None:
    start, _ = learning
    asked = recipe(pictures, total=100, lr=3e-3)
    network = start.network(asked)
    learner = Learner(asked, network=network)
    before = network.amax.detach().clone()
    batch = Mixer(asked.folders, asked.class_names, 2, asked.seed, asked.schedule).batch(0)
    losses = [learner.learn(batch)["loss"] for _ in range(40)]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[8:13])  # boxes are assigned by then
    assert int(((network.amax - before).abs() > 1e-6).sum()) > 50
    averaged = learner.ema.model.state_dict()
    assert all(torch.equal(averaged[key], value) for key, value in network.state_dict().items())


def test_interrupted_run_goes_on_and_becomes_a_file_that_computes_the_same(
    pictures: Path, learning: tuple[Start, Path], tmp_path: Path
) -> None:
    start, folder = learning
    asked = recipe(pictures, total=8)
    first = Trainer(asked, folder, network=start.network(asked))
    first.pace.evaluate_s = float("inf")
    assert not first.run(stop_at=2).finished
    again = Start.read(folder)
    assert (again.skip, again.learn_ranges) == (start.skip, True)
    second = Trainer(asked, folder, resume=True, network=again.network(asked))
    for key, value in first.learner.model.state_dict().items():
        assert torch.equal(second.learner.model.state_dict()[key], value), key
    assert second.run().finished
    network = finish(again, asked, folder, tmp_path / "x" / "int8.onnx", {"why": "test"})
    model = onnx.load(tmp_path / "x" / "int8.onnx")
    _check_metadata(model)
    boxes, scores = _run(model)
    with torch.inference_mode():
        (torch_boxes, torch_scores), _ = network(torch.from_numpy(noise()))
    assert np.abs(torch_scores.numpy() - scores).mean() < 1e-3
    assert np.abs(torch_boxes.numpy() - boxes).mean() < 0.5
    untrained_boxes, _ = _run(quantized(start.calibration, start.skip))
    assert np.abs(untrained_boxes - boxes).mean() > 2 * np.abs(torch_boxes.numpy() - boxes).mean()
    trained = checkpoint.read(folder / f"{TRAINED}.pth")
    assert (trained.form, trained.about["pictures_seen"]) == ("full", 8)


def _check_metadata(model: onnx.ModelProto) -> None:
    said = {entry.key: entry.value for entry in model.metadata_props}
    told = json.loads(said[QUANTIZATION_KEY])
    assert said["eyrie.precision"] == "int8"
    assert (told["method"], told["pictures"]) == ("mse", 4)
    training = told["training"]
    assert (training["kind"], training["pictures"], training["step"]) == ("qat", 8, 4)
    assert training["learnt_ranges"]
    assert training["recipe"]["lr"] == 1e-3
    assert all("_pred/" in name for name in told["float"])
    assert told["evidence"] == {"why": "test"}
    before = json.loads(said["eyrie.model"])["training"]["before"]
    assert before["pictures_seen"] == 12
    assert len(before["checkpoint_sha256"]) == 64


def _run(model: onnx.ModelProto) -> tuple[np.ndarray, np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    boxes, scores = session.run(["boxes", "scores"], {"images": noise()})
    return np.asarray(boxes), np.asarray(scores)


def test_factor_that_changes_its_sign_is_told(
    pictures: Path, learning: tuple[Start, Path], tmp_path: Path
) -> None:
    start, _ = learning
    asked = recipe(pictures)
    network = start.network(asked)
    with torch.no_grad():
        network.get_parameter("backbone.stage1.blocks.bottlenecks.0.alpha").neg_()
    saved = {"ema_net": network.state_dict(), "step": 1, "pictures_seen": 2}
    torch.save(saved, tmp_path / "last.pth")
    with pytest.raises(DetectorError, match=r"alpha has changed its sign.*lower --lr"):
        finish(start, asked, tmp_path, tmp_path / "int8.onnx", {})
    assert not (tmp_path / "int8.onnx").exists()


def test_other_classes_and_unknown_parts_are_refused(pictures: Path, tmp_path: Path) -> None:
    source, asked = write_checkpoint(tmp_path / "net.pth"), recipe(pictures)
    other = replace(asked, class_names=("red", "blue"))
    with pytest.raises(ConfigError, match="knows red, green"):
        Start.made(source, other, tmp_path / "a", str(pictures))
    with pytest.raises(ConfigError, match="no convolution has 'nowhere' in its name"):
        Start.made(source, asked, tmp_path / "b", str(pictures), pictures=1, skip=["nowhere"])
    with pytest.raises(ConfigError, match="no run of eyrie model qat"):
        Start.read(tmp_path / "c")


def test_command_trains_and_writes_and_refuses_a_second_run(pictures: Path, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "net.pth")
    out = tmp_path / "int8.onnx"
    command = ["model", "qat", str(tmp_path / "net.pth"), "--data", str(pictures)]
    command += ["--out", str(out), "--pictures", "4", "--batch", "2", "--device", "cpu"]
    command += ["--calibration-pictures", "2", "--skip", "none", "--set", "lr=1e-5"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "recipe qat after finetune" in done.output
    assert "in 8 bits:" in done.output
    said = {e.key: e.value for e in onnx.load(out).metadata_props}
    told = json.loads(said[QUANTIZATION_KEY])
    assert told["float"] == []
    assert set(told["evidence"]) == {"watched", "untrained", "trained"}
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 2
    assert "is of an earlier run" in again.output
    lost = CliRunner().invoke(app, ["model", "qat", "--out", str(out)])
    assert lost.exit_code == 2
    assert "name the checkpoint" in lost.output
