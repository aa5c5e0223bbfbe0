"""Two processes with half of every batch are one process with the whole."""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch
from torch import Tensor

from detectors.training.distributed import Processes
from detectors.training.report import read_log
from tests.services.servers import free_port

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = Path(__file__).with_name("one_of_several.py")


def started(pictures: Path, out: Path, rank: int, size: int, port: int) -> "subprocess.Popen[str]":
    group = {"RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    environment = os.environ | {name: str(value) for name, value in group.items()}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), str(pictures), str(out)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def together(pictures: Path, out: Path) -> list[dict[str, Any]]:
    """What two processes save."""
    out.mkdir()
    port = free_port()
    processes = [started(pictures, out, rank, 2, port) for rank in range(2)]
    for process in processes:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
    return [torch.load(out / f"{rank}.pt", weights_only=True) for rank in range(2)]


def alone(pictures: Path, out: Path) -> dict[str, Any]:
    out.mkdir()
    runpy.run_path(str(SCRIPT))["main"](pictures, out)
    saved: dict[str, Any] = torch.load(out / "0.pt", weights_only=True)
    return saved


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("one_thread")
def test_two_processes_are_one(pictures: Path, tmp_path: Path) -> None:
    one, (two, other) = alone(pictures, tmp_path / "one"), together(pictures, tmp_path / "two")

    for name in ("norm/y", "norm/grad"):
        rows = torch.stack([two[name], other[name]], 1).flatten(0, 1)
        torch.testing.assert_close(rows, one[name], rtol=1e-4, atol=1e-5)
    for name in [name for name in one if name.startswith("norm/0.")]:
        torch.testing.assert_close(two[name], one[name], rtol=1e-5, atol=1e-5)

    # Batch statistics of random weights amplify the last bit of a sum through fifty layers.
    assert two["terms"] == other["terms"]
    assert two["terms"] == pytest.approx(one["terms"], rel=1e-4)
    here, there, wanted = (flat(saved["gradients"]) for saved in (two, other, one))
    assert torch.equal(here, there)
    assert (here - wanted).norm() < 0.03 * wanted.norm()

    assert torch.equal(two["running_mean"], other["running_mean"])
    torch.testing.assert_close(two["running_mean"], one["running_mean"], rtol=1e-2, atol=1e-3)
    losses = [
        [row["loss"] for row in read_log(tmp_path / name / "run") if "loss" in row]
        for name in ("one", "two")
    ]
    assert len(losses[0]) == 2
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)


def flat(tensors: dict[str, Tensor]) -> Tensor:
    return torch.cat([tensors[name].flatten() for name in sorted(tensors)])


def test_a_rank_outside_the_group_cannot_be() -> None:
    with pytest.raises(ValueError, match=r"rank must be in 0\.\.1, got 2"):
        Processes(2, 2)
