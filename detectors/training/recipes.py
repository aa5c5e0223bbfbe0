"""What decides a run's result, as data: recipes, and the presets that they start from.

Every number of a preset may be overridden. No torch here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from detectors.training.data import Folder
from detectors.training.schedule import Schedule
from pipeline.core.errors import ConfigError

LARGEST_WARMUP_SHARE = 0.2  # of the budget, so that short trials leave warm-up

Sizes = tuple[tuple[float, int], ...]
Watch = Literal["map50", "map50_95"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides a run's result, besides the data itself.

    `batch` pictures over all processes make a gradient, `accumulate` such gradients make a step.
    `start` is a checkpoint to begin from, `freeze` are prefixes of parameter names that stay as
    they begin. `teacher` is a model file whose outputs guide this one with `distill_weight`.
    """

    variant: str
    class_names: tuple[str, ...]
    folders: tuple[Folder, ...]
    schedule: Schedule
    batch: int = 32
    seed: int = 0
    weight_decay: float = 0.03
    max_gradient: float | None = 10.0
    ema_limit: float = 0.999
    bf16: bool = True
    """Reduced precision where it pays: bfloat16, or float16 with scaled losses on older GPUs."""
    accumulate: int = 1
    decay_alpha: bool = False
    """Whether the bottlenecks' `alpha` decays, as in the original; norms and biases never do."""
    start: str | None = None
    folded: bool = False
    """Whether the network is trained as it is deployed, its branches and batch norms folded into
    one convolution a block: for the last part of a long training, and faster."""
    freeze: tuple[str, ...] = ()
    teacher: str | None = None
    distill_weight: float = 1.0
    watch: Watch = "map50"
    """The metric by which the best snapshot is chosen."""
    policy: str = "eyrie"
    """How pictures are augmented: a name in `policies.POLICIES`."""
    average: int = 0
    """How many of the best snapshots are averaged in the end; 0 for none."""

    def __post_init__(self) -> None:
        for name, least in (("batch", 1), ("accumulate", 1), ("average", 0), ("weight_decay", 0)):
            value = getattr(self, name)
            if not least <= value < math.inf:
                raise ConfigError(name, f"must be at least {least}, got {value}")
        if not 0 <= self.ema_limit <= 1:
            raise ConfigError("ema_limit", f"must be in 0..1, got {self.ema_limit}")
        if self.max_gradient is not None and not self.max_gradient > 0:
            raise ConfigError("max_gradient", f"must be above 0, got {self.max_gradient}")
        if not 0 <= self.seed < 2**63:
            raise ConfigError("--seed", f"must be in 0..2^63 - 1, got {self.seed}")
        if not 0 <= self.distill_weight < math.inf:
            raise ConfigError("distill_weight", f"must be at least 0, got {self.distill_weight}")
        if self.watch not in get_args(Watch):
            raise ConfigError("watch", f"{self.watch!r} is none of {', '.join(get_args(Watch))}")

    def plain(self) -> dict[str, Any]:
        """As numbers, strings and lists, to be kept in a checkpoint."""
        made = asdict(self)
        made["folders"] = [[str(folder.path), folder.share] for folder in self.folders]
        return made

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Recipe:
        """The inverse of `plain`; keys that this version does not know are left out."""
        known = {f.name: plain[f.name] for f in fields(cls) if f.name in plain}
        schedule = dict(known["schedule"])
        schedule["sizes_px"] = tuple((float(a), int(b)) for a, b in schedule["sizes_px"])
        known["schedule"] = Schedule(**schedule)
        known["folders"] = tuple(Folder(Path(path), share) for path, share in known["folders"])
        for name in ("class_names", "freeze"):
            known[name] = tuple(known.get(name, ()))
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Length:
    """So many pictures, optimizer steps or passes over the data."""

    count: float
    unit: Literal["pictures", "steps", "epochs"]

    def pictures(self, per_step: int, per_epoch: int) -> int:
        """The same in pictures."""
        if not 0 <= self.count < math.inf:
            raise ConfigError(f"--{self.unit}", f"must be a number from 0, got {self.count}")
        each = {"pictures": 1, "steps": per_step, "epochs": per_epoch}[self.unit]
        return round(self.count * each)


@dataclass(frozen=True, slots=True)
class Preset:
    """A recipe before it knows its data. `sizes_px` None: the size of the network begun from.

    An epoch counts as `least_epoch` pictures at least.
    """

    budget: Length
    batch: int
    lr: float
    final_lr_share: float
    warmup: Length
    weight_decay: float
    ema_limit: float
    sizes_px: Sizes | None = None
    first_lr: float = 0.0
    calm_from: float = 1.0
    max_gradient: float | None = None
    decay_alpha: bool = True
    policy: str = "eyrie"
    watch: Watch = "map50_95"
    average: int = 10
    least_epoch: int = 1
    accumulate: int = 1

    def schedule(self, pictures_in_data: int, start_px: int) -> Schedule:
        """The schedule for so many pictures; `start_px` is the size where the preset has none."""
        per_epoch = max(pictures_in_data, self.least_epoch)
        per_step = self.batch * self.accumulate
        total = max(self.budget.pictures(per_step, per_epoch), per_step)
        warmup = self.warmup.pictures(per_step, per_epoch)
        if self.warmup.unit == "steps":
            warmup = min(warmup, per_epoch)
        return Schedule(
            total,
            lr=self.lr,
            final_lr_share=self.final_lr_share,
            warmup=min(warmup, round(total * LARGEST_WARMUP_SHARE)),
            sizes_px=self.sizes_px or ((0.0, start_px),),
            calm_from=self.calm_from,
            first_lr=self.first_lr,
        )

    def changed(self, values: Mapping[str, Any]) -> Preset:
        """With other values. Raises `ConfigError` for a key or a kind of value that is none."""
        for key, value in values.items():
            if key not in _KINDS:
                raise ConfigError("--set", f"the recipe has no {key!r}; it has {', '.join(_KINDS)}")
            if not _fits(value, _KINDS[key]):
                raise ConfigError("--set", f"{key}={value!r} is no {_KINDS[key].__name__}")
        return replace(self, **values)

    @classmethod
    def of(cls, recipe: Recipe) -> Preset:
        """The preset that a recipe came from, in pictures: what resuming may override."""
        schedule = recipe.schedule
        return cls(
            budget=Length(schedule.total, "pictures"),
            warmup=Length(schedule.warmup, "pictures"),
            **{name: getattr(recipe, name) for name in _OF_RECIPE},
            **{name: getattr(schedule, name) for name in _OF_SCHEDULE},
        )

    def of_recipe(self) -> dict[str, Any]:
        """Its part of a recipe's keywords."""
        return {name: getattr(self, name) for name in _OF_RECIPE}


_OF_RECIPE = (
    "batch",
    "weight_decay",
    "ema_limit",
    "max_gradient",
    "decay_alpha",
    "policy",
    "watch",
    "average",
    "accumulate",
)
_OF_SCHEDULE = ("lr", "final_lr_share", "sizes_px", "first_lr", "calm_from")

_KINDS: Mapping[str, type] = {
    "budget": Length,
    "warmup": Length,
    "sizes_px": tuple,
    "lr": float,
    "first_lr": float,
    "final_lr_share": float,
    "calm_from": float,
    "weight_decay": float,
    "ema_limit": float,
    "max_gradient": float,
    "decay_alpha": bool,
    "batch": int,
    "accumulate": int,
    "least_epoch": int,
    "average": int,
    "policy": str,
    "watch": str,
}


def _fits(value: object, kind: type) -> bool:
    """Whether a value is of a kind; whole numbers are floats too, truth values no numbers."""
    if kind is not bool and isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if kind is float else kind)


PRESETS: Mapping[str, Preset] = {
    # Ours, for CPUs: a budget in pictures, small pictures first, weak augmentation at the end.
    "eyrie": Preset(
        budget=Length(250_000, "pictures"),
        batch=32,
        lr=2e-3,
        final_lr_share=0.05,
        warmup=Length(16_000, "pictures"),
        weight_decay=0.03,
        ema_limit=0.999,
        sizes_px=((0.0, 256), (0.6, 320)),
        calm_from=0.85,
        max_gradient=10.0,
        decay_alpha=False,
        watch="map50",
        average=0,
    ),
    # The public recipe for COCO: 32 pictures on each of 8 GPUs.
    "coco": Preset(
        budget=Length(300, "epochs"),
        batch=256,
        lr=2e-4,
        final_lr_share=0.1,
        warmup=Length(1000, "steps"),
        weight_decay=1e-5,
        ema_limit=0.9997,
        sizes_px=((0.0, 640),),
        first_lr=1e-6,
        policy="coco",
    ),
    # The public recipe for fine-tuning; warm-up rises with every picture instead of every epoch.
    "finetune": Preset(
        budget=Length(100, "epochs"),
        batch=16,
        lr=5e-4,
        final_lr_share=0.1,
        warmup=Length(3, "epochs"),
        weight_decay=1e-4,
        ema_limit=0.9,
        watch="map50",
        least_epoch=512,
        policy="finetune",
    ),
}
