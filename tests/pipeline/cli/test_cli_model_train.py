"""`eyrie model train`: from its options to a recipe, a run, and on; errors of one line."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch", reason="needs the train extra")

import torch

from detectors.training.recipes import Recipe
from pipeline.cli.app import app
from pipeline.cli.model.train_plan import new_plan, parse_sizes
from pipeline.cli.model.train_request import Request
from pipeline.cli.model.train_run import announced
from pipeline.core.errors import ConfigError

TINY = ("--sizes", "32", "--batch", "2", "--pictures", "4", "--device", "cpu", "--threads", "1")


def run(*arguments: str | Path) -> tuple[int, str, str]:
    before = torch.get_num_threads()
    result = CliRunner().invoke(app, ["model", "train", *map(str, arguments)])
    torch.set_num_threads(before)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    """Six train and two val pictures of red and green squares."""
    folder = tmp_path / "squares"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for n in range(8):
        image = rng.integers(0, 80, (48, 64, 3), np.uint8)
        image[10:30, 20:40, n % 2] = 255
        cv2.imwrite(str(folder / f"{n}.png"), image[..., ::-1])
        box = [n % 2, 20, 10, 40, 30]
        split = "train" if n < 6 else "val"
        row = {"image": f"{n}.png", "split": split, "labelled": [0, 1], "boxes": [box]}
        rows.append(json.dumps(row))
    (folder / "index.jsonl").write_text("\n".join(rows))
    (folder / "classes.txt").write_text("red\ngreen\n")
    return folder


def a_request(data: Path, out: Path) -> Request:
    """For fine-tuning, all else as it is."""
    return Request(data=[str(data)], out=out, recipe="finetune")


def recipe_in(path: Path) -> Recipe:
    return Recipe.from_plain(torch.load(path, weights_only=True)["recipe"])


@pytest.mark.timeout(300)
def test_from_scratch_on_and_to_new_classes(squares: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, said, complaints = run("--data", squares, "--out", out, *TINY, "--stop-at", "1")
    assert code == 0, complaints
    assert "step 1, 2 of 4 pictures" in said
    assert f"not finished; go on with: eyrie model train --out {out} --resume" in said
    assert recipe_in(out / "last.pth").class_names == ("red", "green")

    assert f"{squares}: 6 train and 2 val pictures" in said
    assert "budget: 4 pictures = 2 steps of 2 = 0.667 passes over the data" in said

    longer = ("--set", "average=2", "--evaluate-s", "0", "--pictures", "6")
    code, said, complaints = run("--out", out, "--resume", "--threads", "1", *longer)
    assert code == 0, complaints
    assert "step 3, 6 of 6 pictures" in said
    for word in ("red", "green", "mean", f"{out}/best.pth: map50", f"{out}/average.pth: map50"):
        assert word in said
    assert f"eyrie model evaluate {out}/" in said
    assert f"eyrie model export {out}/" in said
    assert (out / "samples.png").is_file()

    (squares / "classes.txt").write_text("blue\nred\n")
    tuned = tmp_path / "tuned"
    start = out / "best.pth"
    more = ("--freeze", "backbone", "--set", "policy=eyrie")
    code, said, complaints = run("--data", squares, "--out", tuned, *TINY, "--from", start, *more)
    assert code == 0, complaints
    assert "class predictions kept: red\nclass predictions begun anew: blue" in said
    assert "dropped from the checkpoint: green" in said
    made = recipe_in(tuned / "last.pth")
    assert made.class_names == ("blue", "red")
    assert (made.freeze, made.policy, made.ema_limit) == (("backbone",), "eyrie", 0.9)
    before, after = (
        torch.load(p, weights_only=True)["ema_net"] for p in (start, tuned / "last.pth")
    )
    name = "backbone.stem.conv.post_bn.weight"
    assert torch.equal(after[name], before[name])
    assert list(before) == list(after)


def planned(request: Request) -> tuple[int, str]:
    plan = new_plan(request, None)
    return plan.recipe.schedule.total, " ".join(announced(plan, 0, torch.device("cpu")))


def test_epochs_are_passes_over_the_data(squares: Path, tmp_path: Path) -> None:
    request = a_request(squares, tmp_path)
    assert planned(replace(request, epochs=2.0, batch=3))[0] == 12
    assert planned(replace(request, epochs=2.0, changes=["least_epoch=60"]))[0] == 120
    assert planned(request)[0] == 100 * 512


def test_what_is_not_learnt_or_not_measured_is_said(squares: Path, tmp_path: Path) -> None:
    request = a_request(squares, tmp_path)
    _, said = planned(replace(request, classes="Green"))
    assert "in the data but not learnt: red" in said
    assert "no val split" not in said
    index = squares / "index.jsonl"
    index.write_text("\n".join(index.read_text().splitlines()[:6]))
    assert "no val split: nothing will be measured" in planned(request)[1]


def test_a_teacher_of_another_size_is_refused_before_data_is_read(tmp_path: Path) -> None:
    teacher = ("--teacher", "yolo_nas_n_int8", "--sizes", "32")
    code, _, complaints = run("--data", tmp_path / "no", "--out", tmp_path / "run", *teacher)
    assert code == 2
    assert complaints.startswith("eyrie: --teacher: yolo_nas_n_int8.onnx takes pictures of ")


def test_wrong_usage_is_one_line(squares: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "last.pth").touch()
    new = ("--data", squares, "--out", tmp_path / "new")
    for arguments, why in (
        (("--out", tmp_path / "new"), "--data: give at least one set of pictures with boxes"),
        (("--data", squares, "--out", out), f"--out: {out}/last.pth is of an earlier run"),
        (("--out", tmp_path / "new", "--resume"), "--resume: "),
        (("--data", tmp_path / "no", "--out", tmp_path / "new"), f"{tmp_path}/no: no such folder"),
        ((*new, "--recipe", "best"), "--recipe: 'best' is none of eyrie, coco, finetune"),
        ((*new, "--variant", "yolo"), "--variant: 'yolo' is none of yolo_nas_n, "),
        ((*new, "--classes", "a,b,a"), "--classes: 'a,b,a': names by commas, each once"),
        ((*new, "--classes", "blue"), f"{squares}: "),
        ((*new, "--sizes", "100"), "--sizes: '100': write 320"),
        ((*new, "--set", "speed=1"), "--set: the recipe has no 'speed'"),
        ((*new, "--set", "speed"), "--set: 'speed' is not KEY=VALUE"),
        ((*new, "--pictures", "8", "--epochs", "1"), "--epochs: the budget is given"),
        ((*new, "--device", "tpu"), "--device: 'tpu' is none of auto, cpu, cuda"),
        ((*new, "--freeze", "stem"), "--freeze: the network has no part 'stem'"),
    ):
        code, _, complaints = run(*arguments)
        assert code == 2, complaints
        assert complaints.startswith(f"eyrie: {why}"), complaints
        assert complaints.count("\n") == 1


def test_a_missing_checkpoint_is_one_line(squares: Path, tmp_path: Path) -> None:
    start = tmp_path / "no.pth"
    code, _, complaints = run("--data", squares, "--out", tmp_path / "run", "--from", start)
    assert code == 3
    assert complaints.startswith("eyrie: ")
    assert str(start) in complaints


def test_sizes() -> None:
    assert parse_sizes("320") == ((0.0, 320),)
    assert parse_sizes("0:256,0.6:320") == ((0.0, 256), (0.6, 320))
    for wrong in ("", "0", "33", "0.5:320", "0:320,0:256", "0:320,1:256", "a:320", "0:-32"):
        with pytest.raises(ConfigError, match="--sizes"):
            parse_sizes(wrong)
