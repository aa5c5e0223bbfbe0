"""A run that stops and goes on is the run that never stopped."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch

from detectors.evaluation.average_precision import Metrics
from detectors.training.data import Folder
from detectors.training.recipes import Recipe
from detectors.training.report import read_log
from detectors.training.schedule import Schedule
from detectors.training.state import held, saved_recipe
from detectors.training.trainer import DivergedError, Pace, Trainer
from detectors.yolo_nas.checkpoints import checkpoint
from pipeline.core.errors import ConfigError


class Losses:
    """Remembers the loss of every step."""

    def __init__(self) -> None:
        self.by_step: dict[int, float] = {}

    def stepped(self, step: int, seen: int, loss: float) -> None:
        self.by_step[step] = loss

    def evaluated(self, folder: str, metrics: Metrics) -> None:
        pass


def recipe(pictures: Path, total: int) -> Recipe:
    return Recipe(
        variant="yolo_nas_n",
        class_names=("red", "green"),
        folders=(Folder(pictures),),
        schedule=Schedule(total, lr=1e-3, warmup=4, sizes_px=((0.0, 32),)),
        batch=2,
    )


def weights(trainer: Trainer) -> list[torch.Tensor]:
    learner = trainer.learner
    return [*learner.model.state_dict().values(), *learner.ema.model.state_dict().values()]


@pytest.mark.usefixtures("one_thread")
def test_one_seed_is_one_run_and_an_interruption_leaves_no_trace(
    pictures: Path, tmp_path: Path
) -> None:
    losses = [Losses() for _ in range(3)]
    runs = [
        Trainer(recipe(pictures, 60), tmp_path / name, watcher=watcher)
        for name, watcher in zip(("whole", "again", "parts"), losses, strict=True)
    ]
    for run in runs:
        run.pace.log_steps = 5
    assert runs[0].run().finished
    assert runs[1].run().finished
    assert not runs[2].run(stop_at=15).finished
    last = Trainer(recipe(pictures, 60), tmp_path / "parts", resume=True, watcher=losses[2])
    last.pace.log_steps = 5
    assert last.seen == 30
    assert last.run().finished

    assert losses[0].by_step == losses[1].by_step == losses[2].by_step
    assert list(losses[0].by_step) == list(range(1, 31))
    assert all(torch.equal(a, b) for a, b in zip(weights(runs[0]), weights(last), strict=True))
    rows = [[row.get("loss") for row in read_log(tmp_path / name)] for name in ("whole", "parts")]
    assert rows[0] == rows[1]


@pytest.mark.usefixtures("one_thread")
def test_a_finished_run_keeps_its_best_and_their_average(pictures: Path, tmp_path: Path) -> None:
    wanted = replace(recipe(pictures, 4), average=2)
    trainer = Trainer(wanted, tmp_path)
    trainer.pace.evaluate_s = 0.0
    outcome = trainer.run()
    assert outcome.finished
    assert outcome.best is not None
    assert [len(verdict.pictures) for verdict in outcome.verdicts] == [4]
    for name in ("best.pth", "last.pth", "average.pth"):
        state = torch.load(tmp_path / name, weights_only=True)
        assert state["class_names"] == ["red", "green"]
        assert state["input_size"] == [32, 32]
        assert Recipe.from_plain(state["recipe"]) == wanted
        assert [*checkpoint.read(tmp_path / name).state] == [*state["ema_net"]]
        assert ("optimizer_state_dict" in state) == (name == "last.pth")
    assert saved_recipe(tmp_path) == wanted
    rows = read_log(tmp_path)
    assert [row["step"] for row in rows if "loss" in row] == [2]
    assert [row.get("of") for row in rows if "folder" in row] == [None, None, "average"]


@pytest.mark.usefixtures("one_thread")
def test_one_snapshot_is_not_averaged(pictures: Path, tmp_path: Path) -> None:
    outcome = Trainer(replace(recipe(pictures, 2), average=2), tmp_path).run()
    assert outcome.average is None
    assert not (tmp_path / "average.pth").exists()
    assert sum("folder" in row for row in read_log(tmp_path)) == 1


def test_a_folder_is_of_one_run_at_a_time(pictures: Path, tmp_path: Path) -> None:
    with held(tmp_path), pytest.raises(ConfigError, match="in use by a run"):
        Trainer(recipe(pictures, 2), tmp_path).run()
    assert not (tmp_path / "log.jsonl").exists()
    with held(tmp_path):
        pass


def test_a_loss_that_is_no_number_names_the_batch_and_its_pictures(
    pictures: Path, tmp_path: Path
) -> None:
    Trainer(recipe(pictures, 20), tmp_path).run(stop_at=2)
    before = (tmp_path / "last.pth").read_bytes()
    trainer = Trainer(recipe(pictures, 20), tmp_path, resume=True)
    with torch.no_grad():
        trainer.learner.model.backbone.stem.conv.post_bn.bias.fill_(float("nan"))
    where = rf"loss is nan \(in .*cls.*\) at batch 2, seed 0, of {pictures}/\d+\.png"
    with pytest.raises(DivergedError, match=where):
        trainer.run()
    assert (tmp_path / "last.pth").read_bytes() == before


def test_a_run_goes_on_only_as_what_it_was(pictures: Path, tmp_path: Path) -> None:
    before = recipe(pictures, 20)
    Trainer(before, tmp_path).run(stop_at=1)
    for changed, option in (
        (replace(before, class_names=("red", "blue")), "--classes"),
        (replace(before, variant="yolo_nas_s"), "--variant"),
        (replace(before, batch=4), "--batch"),
        (replace(before, freeze=("backbone",)), "--freeze"),
    ):
        with pytest.raises(ConfigError, match=option):
            Trainer(changed, tmp_path, resume=True)
    with pytest.raises(ConfigError, match="no run to go on with"):
        Trainer(before, tmp_path / "nowhere", resume=True)


def test_data_without_a_val_split_trains_all_the_same(pictures: Path, tmp_path: Path) -> None:
    index = pictures / "index.jsonl"
    rows = [json.loads(line) for line in index.read_text().splitlines()]
    train = [json.dumps(row) for row in rows if row["split"] == "train"]
    index.write_text("\n".join(train))
    outcome = Trainer(recipe(pictures, 2), tmp_path / "run").run()
    assert outcome.finished
    assert outcome.best is None
    assert not (tmp_path / "run" / "best.pth").exists()


def test_pace_is_due_once_per_period(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("detectors.training.trainer.time.monotonic", lambda: now[0])
    pace = Pace()
    due = []
    for now[0] in (100.0, 105.0, 110.0, 112.0, 120.0):
        due.append(pace.due("write", 10.0))
    assert due == [False, False, True, False, True]


def test_training_leaves_the_processor_as_it_was(pictures: Path, tmp_path: Path) -> None:
    Trainer(recipe(pictures, 2), tmp_path / "run").run()
    tiny = torch.tensor([5e-324], dtype=torch.float64)
    assert (tiny * 1.0).item() > 0
