"""Quantization-aware training: a run of `Trainer` on a `FakeQuantNetwork`, from checkpoint to file.

The folder of the run holds, besides the trainer's files, the float file that it began with and the
ranges of its activations; in the end the trained float weights, as checkpoint and as file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor

from detectors.export import export
from detectors.letterbox import Letterbox
from detectors.quantize.clipping import Method
from detectors.quantize.fake_quant_network import FakeQuantNetwork
from detectors.quantize.post_training import (
    FLOAT_PARTS,
    Calibration,
    calibrated,
    quantized,
    read_float,
)
from detectors.training import state as files
from detectors.training.recipes import Length, Preset, Recipe
from detectors.training.start import begin
from detectors.yolo_nas.architecture.fuse import fold_batch_norms, unfold_batch_norms
from detectors.yolo_nas.architecture.model import YoloNASModule, build
from detectors.yolo_nas.attach_proof import attach
from detectors.yolo_nas.checkpoints import checkpoint
from detectors.yolo_nas.checkpoints.checkpoint import Checkpoint
from detectors.yolo_nas.detector import METADATA_KEY, Description
from detectors.yolo_nas.processing import Processing
from detectors.yolo_nas.voting import Voting
from pipeline.core.errors import ConfigError, DetectorError

START, START_FACTS, TRAINED = "start.onnx", "start.json", "trained"
SHORTER, SMALLER = 0.1, 0.01
FINAL_LR_SHARE = 0.01
RANGES_KEY = "amax"


def rules_of_thumb(base: Preset, *, learn_ranges: bool = False) -> Preset:
    """The recipe by which to train, in 8 bits, a network that `base` has trained in float.

    By the rules published with YOLO-NAS: a tenth of the budget, a hundredth of the learning rate
    and of the weight decay, a cosine down to a hundredth, warm-up over a tenth of the budget and at
    least one pass over the data, no moving average, and half the batch if ranges are learnt.
    """
    budget = replace(base.budget, count=base.budget.count * SHORTER)
    warmup = Length(budget.count * SHORTER, budget.unit)
    if budget.unit == "epochs":
        warmup = replace(warmup, count=max(warmup.count, 1))
    return replace(
        base,
        budget=budget,
        warmup=warmup,
        lr=base.lr * SMALLER,
        first_lr=base.first_lr * SMALLER,
        weight_decay=base.weight_decay * SMALLER,
        final_lr_share=FINAL_LR_SHARE,
        ema_limit=0.0,
        average=0,
        batch=max(base.batch // 2, 1) if learn_ranges else base.batch,
        sizes_px=None,
        watch="map50_95",
    )


@dataclass(frozen=True, slots=True)
class Start:
    """What a run begins with: the float network as a graph, ranges, and what stays in float."""

    calibration: Calibration
    skip: tuple[str, ...]
    """Names of convolutions of the graph."""
    learn_ranges: bool = False

    @classmethod
    def made(
        cls,
        source: Checkpoint,
        recipe: Recipe,
        folder: Path,
        data: str,
        *,
        pictures: int | None = None,
        method: Method = "mse",
        skip: Sequence[str] = FLOAT_PARTS,
        learn_ranges: bool = False,
        done: Callable[[int], object] = lambda _: None,
    ) -> Start:
        """Export `source` into `folder`, fused, for `recipe`'s pictures, and calibrate it.

        Convolutions with one of `skip` in their name stay float. For the rest see
        `post_training.calibrated`. Raises `ConfigError` when the classes are others than those of
        the recipe, or a part of `skip` is in no name, and what `export` and `calibrated` raise.
        """
        if tuple(source.processing.class_names) != recipe.class_names:
            theirs = ", ".join(source.processing.class_names)
            why = f"the checkpoint knows {theirs}: train it on other classes before quantizing"
            raise ConfigError("--data", why)
        begun = begin(recipe.variant, recipe.class_names, source).model.eval().fuse(full=True)
        fold_batch_norms(begun)
        folder.mkdir(parents=True, exist_ok=True)
        export(_deployable(source, recipe, begun), folder / START)
        calibration = calibrated(
            folder / START, data, pictures=pictures, method=method, seed=recipe.seed, done=done
        )
        start = cls(calibration, _named(calibration, skip), learn_ranges)
        facts = {
            "ranges": dict(calibration.ranges),
            "told": dict(calibration.told),
            "skip": start.skip,
            "learn_ranges": learn_ranges,
        }
        (folder / START_FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        return start

    @classmethod
    def read(cls, folder: Path) -> Start:
        """That of the run in `folder`. Raises `ConfigError` where there is none."""
        try:
            facts = json.loads((folder / START_FACTS).read_text(encoding="utf-8"))
            graph, metadata = read_float(folder / START)
        except (OSError, ValueError) as error:
            why = f"{folder} is no run of eyrie model qat: {error}"
            raise ConfigError("--resume", why) from error
        processing = Description.read(metadata, START).processing
        calibration = Calibration(
            graph=graph,
            ranges=facts["ranges"],
            samples=np.empty((0, 3, *processing.input_size), np.float32),
            processing=processing,
            metadata=metadata,
            told=facts["told"],
        )
        return cls(calibration, tuple(facts["skip"]), facts["learn_ranges"])

    @property
    def provenance(self) -> dict[str, Any]:
        """How the float network was made, as far as its checkpoint told."""
        said = json.loads(self.calibration.metadata[METADATA_KEY])
        return {"checkpoint_sha256": said["checkpoint_sha256"], **said["training"]}

    def network(self, recipe: Recipe) -> FakeQuantNetwork:
        """The network to train, which computes what the file of post-training quantization does."""
        return FakeQuantNetwork(
            recipe.variant,
            len(recipe.class_names),
            self.calibration.graph,
            self.calibration.ranges,
            skip=self.skip,
            learn_ranges=self.learn_ranges,
        )


def finish(
    start: Start, recipe: Recipe, folder: Path, out: Path, evidence: Mapping[str, Any]
) -> FakeQuantNetwork:
    """Write the best network of the run in `folder`, else its last, as INT8 to `out`.

    Returns that network. `folder` gets its float weights. `evidence`, JSON values, goes into the
    metadata. Raises `DetectorError` when training has turned the sign of a shortcut's factor: the
    file could not be quantized at the same places.
    """
    taken = folder / files.BEST
    if not taken.is_file():
        taken = folder / files.LAST
    saved = torch.load(taken, map_location="cpu", weights_only=True)
    network = start.network(recipe)
    network.load_state_dict(saved["ema_net"])
    made = folder / f"{TRAINED}.pth"
    counts = {key: saved[key] for key in ("step", "pictures_seen")}
    files.write(files.description(recipe) | {"ema_net": float_state(network)} | counts, made)
    export(checkpoint.read(made), made.with_suffix(".onnx"), training={"before": start.provenance})
    graph, metadata = read_float(made.with_suffix(".onnx"))
    told = dict(start.calibration.told) | {"training": _told(start, recipe, counts)}
    trained = replace(
        start.calibration, graph=graph, ranges=network.ranges(), metadata=metadata, told=told
    )
    if replace(start, calibration=trained).network(recipe).steps != network.steps:
        why = "a bottleneck's alpha has changed its sign, so its shortcut cannot be quantized"
        raise DetectorError(f"{made}: {why}; train with a lower --lr")
    out.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(quantized(trained, start.skip, evidence), out)
    attach(out)
    return network


def float_state(network: FakeQuantNetwork) -> dict[str, Tensor]:
    """Its weights as those of a fully fused checkpoint, without ranges."""
    weights = {key: value for key, value in network.state_dict().items() if key != RANGES_KEY}
    model = build(network.spec.name, network.num_classes).fuse(full=True)
    fold_batch_norms(model)
    model.load_state_dict(weights)
    return _unfolded(model)


def _unfolded(model: YoloNASModule) -> dict[str, Tensor]:
    unfold_batch_norms(model)
    return model.state_dict()


def _deployable(source: Checkpoint, recipe: Recipe, model: YoloNASModule) -> Checkpoint:
    """`source` as `model` has it: fused, for the pictures that training makes."""
    side = recipe.schedule.final_px
    processing = Processing(recipe.class_names, Letterbox(side, side), voting=Voting())
    return replace(source, form="full", state=_unfolded(model), processing=processing)


def _named(calibration: Calibration, parts: Collection[str]) -> tuple[str, ...]:
    layers = calibration.graph.layer_names()
    for part in parts:
        if not any(part in name for name in layers):
            raise ConfigError("--skip", f"no convolution has {part!r} in its name")
    return tuple(name for name in layers if any(part in name for part in parts))


def _told(start: Start, recipe: Recipe, counts: Mapping[str, int]) -> dict[str, Any]:
    """What the file says of its training."""
    plain = recipe.plain()
    kept = ("batch", "accumulate", "weight_decay", "ema_limit", "policy", "watch", "seed")
    schedule = {
        name: plain["schedule"][name] for name in ("total", "lr", "final_lr_share", "warmup")
    }
    return {
        "kind": "qat",
        "pictures": counts["pictures_seen"],
        "step": counts["step"],
        "data": [folder.path.name for folder in recipe.folders],
        "recipe": schedule | {name: plain[name] for name in kept},
        "learnt_ranges": start.learn_ranges,
    }
