"""What `eyrie model train` was asked for, as a recipe."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from detectors.training.data import Folder, read_dataset
from detectors.training.recipes import PRESETS, Length, Preset, Recipe, Sizes
from detectors.training.schedule import Schedule
from detectors.yolo_nas.architecture.variants import VARIANTS
from pipeline.cli.model.train_request import Request
from pipeline.cli.options import names
from pipeline.core.errors import ConfigError
from pipeline.core.log import get_logger

if TYPE_CHECKING:
    from detectors.yolo_nas.checkpoints.checkpoint import Checkpoint

log = get_logger(__name__)

VARIANT, SIZE_PX = "yolo_nas_n", 640
DIRECT = ("batch", "accumulate", "lr", "weight_decay")


@dataclass(frozen=True, slots=True)
class Data:
    """The folders to train on, with what they hold: `train` and `val` pictures of each."""

    folders: tuple[Folder, ...]
    class_names: tuple[str, ...]
    not_learnt: tuple[str, ...]
    """Classes of the data that are none of `class_names`."""
    train: tuple[int, ...]
    val: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A recipe, the name of the preset that it began as, and the data where that was read."""

    recipe: Recipe
    name: str
    data: Data | None


def new_plan(
    request: Request,
    checkpoint: "Checkpoint | None",
    adapted: Callable[[Preset], Preset] = lambda preset: preset,
) -> Plan:
    """The plan of a run that begins; `checkpoint` is what `--from` names. The options change what
    `adapted` makes of the preset."""
    name = request.recipe or ("finetune" if checkpoint else "eyrie")
    if name not in PRESETS:
        raise ConfigError("--recipe", f"{name!r} is none of {', '.join(PRESETS)}")
    preset = changed(adapted(PRESETS[name]), request)
    size_px = checkpoint.processing.letterbox.height if checkpoint else SIZE_PX
    _check_teacher(request, preset.schedule(1, size_px))
    data = read_data(request.data or (), _distinct("--classes", request.classes))
    recipe = Recipe(
        variant=_variant(request.variant, checkpoint),
        class_names=data.class_names,
        folders=data.folders,
        schedule=preset.schedule(sum(data.train), size_px),
        start=request.start,
        **preset.of_recipe(),
        **_others(request),
    )
    return Plan(recipe, name, data)


def next_plan(request: Request, before: Recipe) -> Plan:
    """The plan of a run that goes on, with what the options change."""
    if request.start is not None:
        raise ConfigError("--from", "a run that goes on has begun already: leave out --resume")
    preset = changed(Preset.of(before), request)
    _check_teacher(request, preset.schedule(1, before.schedule.final_px))
    folders, data = before.folders, None
    if request.data or request.epochs is not None:
        texts = request.data or tuple(_text(folder) for folder in folders)
        data = read_data(texts, before.class_names)
        folders = data.folders
    schedule = preset.schedule(sum(data.train) if data else 1, before.schedule.final_px)
    if request.warmup is None:
        schedule = replace(schedule, warmup=before.schedule.warmup)
    recipe = replace(
        before,
        variant=request.variant or before.variant,
        class_names=_distinct("--classes", request.classes) or before.class_names,
        folders=folders,
        schedule=schedule,
        **preset.of_recipe(),
        **_others(request),
    )
    return Plan(recipe, "as before", data)


def changed(preset: Preset, request: Request) -> Preset:
    """A preset with the numbers that the options give. Raises `ConfigError`."""
    given: dict[str, Any] = {
        name: value for name in DIRECT if (value := getattr(request, name)) is not None
    }
    if request.pictures is not None and request.epochs is not None:
        raise ConfigError("--epochs", "the budget is given by --pictures already")
    if request.pictures is not None:
        given["budget"] = Length(request.pictures, "pictures")
    if request.epochs is not None:
        given |= {"budget": Length(request.epochs, "epochs"), "least_epoch": 1}
    if request.warmup is not None:
        given["warmup"] = Length(request.warmup, "pictures")
    if request.sizes is not None:
        given["sizes_px"] = parse_sizes(request.sizes)
    if request.ema is not None:
        given["ema_limit"] = request.ema
    return preset.changed(given | dict(map(_change, request.changes or ())))


def read_data(texts: Sequence[str], class_names: tuple[str, ...]) -> Data:
    """The sets of pictures, with their faults logged; without `class_names`, those of the sets.

    Raises `ConfigError` when a set cannot be read or has none of the classes.
    """
    if not texts:
        raise ConfigError("--data", "give at least one set of pictures with boxes")
    folders = tuple(Folder.parse(text) for text in texts)
    if (given := sum(folder.share or 0 for folder in folders)) > 1:
        raise ConfigError("--data", f"the shares add up to {given:g}: at most 1")
    sets = [read_dataset(folder.path, "train") for folder in folders]
    for found in sets:
        if faults := found.summary():
            log.warning("%s: %s", found.location, faults)
    there = tuple(dict.fromkeys(name for found in sets for name in found.class_names))
    kept = class_names or there
    train = tuple(len(found.selected(kept).pictures) for found in sets)
    val = tuple(len(read_dataset(f.path, "val", empty_ok=True).pictures) for f in folders)
    learnt = {name.strip().casefold() for name in kept}
    not_learnt = tuple(name for name in there if name.strip().casefold() not in learnt)
    return Data(folders, kept, not_learnt, train, val)


def _check_teacher(request: Request, schedule: Schedule) -> None:
    """Before the data is read: that may take minutes."""
    if request.teacher is not None:
        from detectors.training.teacher import check_teacher

        check_teacher(request.teacher, [side for _, side in schedule.sizes_px])


def parse_sizes(text: str) -> Sizes:
    """`320` or `0:256,0.6:320` -> (progress, side in pixels) steps. Raises `ConfigError`."""
    wrong = ConfigError("--sizes", f"{text!r}: write 320, or 0:256,0.6:320; sides in steps of 32")
    try:
        steps = [part.rpartition(":") for part in text.split(",")]
        sizes = tuple((float(start or 0), int(side)) for start, _, side in steps)
    except ValueError:
        raise wrong from None
    starts = [start for start, _ in sizes]
    rising = starts == sorted(set(starts)) and starts[0] == 0 and starts[-1] < 1
    if not rising or any(side < 32 or side % 32 for _, side in sizes):
        raise wrong
    return sizes


def _variant(wanted: str | None, checkpoint: "Checkpoint | None") -> str:
    if wanted is None:
        return checkpoint.variant if checkpoint else VARIANT
    if wanted not in VARIANTS:
        raise ConfigError("--variant", f"{wanted!r} is none of {', '.join(VARIANTS)}")
    return wanted


def _others(request: Request) -> dict[str, Any]:
    """What of the recipe no preset knows, where it is given."""
    given: dict[str, Any] = {
        "seed": request.seed,
        "teacher": request.teacher,
        "distill_weight": request.distill_weight,
        "freeze": _distinct("--freeze", request.freeze) or None,
        "bf16": False if request.float32 else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _distinct(option: str, text: str | None) -> tuple[str, ...]:
    found = names(option, text)
    if len(set(found)) < len(found):
        raise ConfigError(option, f"{text!r}: names by commas, each once")
    return found


def _text(folder: Folder) -> str:
    return str(folder.path) if folder.share is None else f"{folder.path}:{folder.share}"


def _change(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError("--set", f"{text!r} is not KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value
