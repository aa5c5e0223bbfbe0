"""A process that trains by itself or with others, as its environment says, and saves what it did.

Called with the folder of pictures and the folder to write to.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from detectors.training.data import Folder, Mixer
from detectors.training.distributed import Processes, joined, share_batch_norms
from detectors.training.learner import Learner
from detectors.training.parameters import trained
from detectors.training.precision import CPU
from detectors.training.recipes import Recipe
from detectors.training.schedule import Schedule
from detectors.training.trainer import Trainer


def main(pictures: Path, out: Path) -> None:
    torch.set_num_threads(1)
    recipe = Recipe(
        variant="yolo_nas_n",
        class_names=("red", "green"),
        folders=(Folder(pictures),),
        schedule=Schedule(8, lr=1e-4, warmup=0, sizes_px=((0.0, 64),)),
        batch=4,
        bf16=False,
    )
    with joined(CPU) as processes:
        made = batch_norm(processes) | gradients(recipe, processes)
        trainer = Trainer(recipe, out / "run", processes=processes)
        trainer.pace.log_steps = 1
        trainer.run()
        made["running_mean"] = trainer.learner.model.neck.neck4.conv.bn.running_mean
        torch.save(made, out / f"{processes.rank}.pt")


def batch_norm(processes: Processes) -> dict[str, Tensor]:
    """One training step of a batch norm on this process's rows of a batch, far from zero."""
    generator = torch.Generator().manual_seed(0)
    whole = torch.randn(4, 3, 5, 5, generator=generator) + 30
    slope = torch.randn(4, 3, 5, 5, generator=generator)
    norm = nn.Sequential(nn.BatchNorm2d(3, eps=1e-3, momentum=0.03))
    if processes.size > 1:
        share_batch_norms(norm)
    mine = whole[processes.rank :: processes.size].requires_grad_()
    y = norm(mine)
    (y * slope[processes.rank :: processes.size]).sum().backward()
    assert mine.grad is not None
    made: dict[str, Tensor] = {"norm/y": y.detach(), "norm/grad": mine.grad}
    for name, parameter in norm.named_parameters():
        assert parameter.grad is not None
        made[f"norm/{name}"] = processes.sum(parameter.grad)
    return made | {f"norm/{key}": value for key, value in norm.state_dict().items() if "." in key}


def gradients(recipe: Recipe, processes: Processes) -> dict[str, Any]:
    """Of the first batch, averaged, and the terms of its loss."""
    learner = Learner(replace(recipe, accumulate=2), processes=processes)
    mixer = Mixer(
        recipe.folders,
        recipe.class_names,
        recipe.batch,
        recipe.seed,
        recipe.schedule,
        rank=processes.rank,
        world=processes.size,
    )
    terms = learner.learn(mixer.batch(0))
    parameters = trained(learner.model)
    processes.average_gradients(parameters)
    names = {id(p): name for name, p in learner.model.named_parameters()}
    return {"terms": terms, "gradients": {names[id(p)]: p.grad for p in parameters}}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
