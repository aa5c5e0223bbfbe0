"""Checkpoints: what a file of weights holds, checked key by key.

Read are the public releases, training checkpoints of super-gradients and of this project, averages
and bare state dicts, unfused or fused, of any number of classes. Nothing in a file is run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from detectors.letterbox import Letterbox
from detectors.yolo_nas.architecture.blocks import Form
from detectors.yolo_nas.architecture.fuse import (
    fold_batch_norms,
    has_norms,
    unfold_batch_norms,
)
from detectors.yolo_nas.architecture.model import YoloNASModule, build
from detectors.yolo_nas.architecture.variants import VARIANTS
from detectors.yolo_nas.checkpoints import coco, download, processing_params
from detectors.yolo_nas.checkpoints.stand_ins import StoredTensor
from detectors.yolo_nas.checkpoints.torch_file import TorchFile
from detectors.yolo_nas.errors import CheckpointError
from detectors.yolo_nas.processing import Processing, listed, sides
from detectors.yolo_nas.voting import Voting
from pipeline.core.log import get_logger

__all__ = ["Checkpoint", "CheckpointError", "identify", "read"]

log = get_logger(__name__)

WEIGHTS = Path(__file__).resolve().parents[2] / "weights"
WEIGHTS_KEYS = ("ema_net", "net")
"""Where training checkpoints keep weights: averaged ones are preferred."""
PARALLEL_PREFIX = "module."
CLASSES_KEY = "heads.head1.cls_pred.weight"
PLACE_HOLDER = "rbr_reparam"
ABOUT = ("step", "epoch", "pictures_seen", "seed", "data", "acc", "best", "recipe")
LONGEST_METRIC = 1000
KERNEL_RANK = 4
NAMED = 3
"""How many keys an error names."""

FAULTS = (ValueError, TypeError, KeyError, ArithmeticError, RecursionError)
"""What reading data of a strange form may raise."""

State = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Checkpoint:
    """Weights and all that is known of them.

    `state` has exactly the keys and shapes of a module of `variant` in `form`, in float32 (counters
    in int64). `weights` says where in the file it was: `ema_net`, `net` or `state_dict`. `about` is
    what the file says of its making, such as `pictures_seen`, as far as it does.
    """

    path: Path
    sha256: str
    variant: str
    form: Form
    weights: str
    state: State
    processing: Processing
    about: dict[str, Any] = field(default_factory=dict)

    def module(self) -> YoloNASModule:
        """A new network with these weights, in their form, in evaluation mode."""
        model = _in_form(self.variant, len(self.processing.class_names), self.form)
        model.load_state_dict(self.state)
        return model.eval()


def read(
    source: str | Path, *, accept_licence: bool = False, sha256: str | None = None
) -> Checkpoint:
    """The checkpoint at a path, at an https address, or of a name: `yolo_nas_n` is bundled,
    `yolo_nas_s_coco` a public release.

    `sha256`, in hex, is compared before anything is read. What has to be downloaded is kept, see
    `download` beside this; weights under a licence want `accept_licence`. Blocks. Raises
    `CheckpointError`, also when any key is missing, unknown or of the wrong shape.
    """
    path, digest = _locate(source, accept_licence, sha256)
    with TorchFile(path) as file:
        try:
            return _read(file, digest)
        except FAULTS as error:
            raise CheckpointError(f"checkpoint {path}: {_why(error)}") from error


def _locate(source: str | Path, accept_licence: bool, sha256: str | None) -> tuple[Path, str]:
    """The file and its SHA-256."""
    if isinstance(source, str) and download.is_remote(source):
        path = download.fetch(source, accept_licence=accept_licence, sha256=sha256)
    else:
        path = Path(source)
    try:
        bundled = WEIGHTS / f"{source}.pth"
        path = bundled if bundled.is_file() else path
        digest = download.sha256_of(path)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        why = getattr(error, "strerror", None) or error
        raise CheckpointError(f"checkpoint {path}: {why}") from error
    if sha256 is not None and digest != sha256.lower():
        raise CheckpointError(f"checkpoint {path}: its SHA-256 is {digest}, not {sha256}")
    return path, digest


def _read(file: TorchFile, sha256: str) -> Checkpoint:
    content = file.content
    weights, stored = _weights(content)
    shapes = {key: tensor.shape for key, tensor in stored.items()}
    variant, form, classes = identify(shapes)
    content = content if weights != "state_dict" else {}
    if content.get("variant", variant) != variant:
        raise ValueError(f"says that it is {content['variant']!r}, but its weights are {variant}'s")
    state = {key: _tensor(file, key, tensor, form) for key, tensor in stored.items()}
    if not has_norms(shapes):
        state = _with_norms(variant, classes, state)
    return Checkpoint(
        path=file.path,
        sha256=sha256,
        variant=variant,
        form=form,
        weights=weights,
        state=state,
        processing=_processing(content, classes, file.path),
        about={key: _plain(file, key, content[key]) for key in ABOUT if key in content},
    )


def _weights(content: Any) -> tuple[str, dict[str, StoredTensor]]:
    """Which of the weights are preferred, by key without the prefix of parallel training."""
    if not isinstance(content, dict):
        raise ValueError(f"holds a {type(content).__name__}, not a dict of weights")
    name = next((key for key in WEIGHTS_KEYS if content.get(key)), "state_dict")
    state = content if name == "state_dict" else content[name]
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise ValueError(f"{name} is not a state dict")
    strangers = [key for key, value in state.items() if not isinstance(value, StoredTensor)]
    if strangers or not state:
        where = "neither ema_net nor net" if name == "state_dict" else f"in {name} not only tensors"
        raise ValueError(f"holds {where}; it has {_named(strangers) or 'nothing'}")
    if all(key.startswith(PARALLEL_PREFIX) for key in state):
        state = {key.removeprefix(PARALLEL_PREFIX): value for key, value in state.items()}
    return name, state


def identify(shapes: Shapes) -> tuple[str, Form, int]:
    """Variant, form and number of classes of a state dict, by its keys and shapes alone.

    Raises ValueError that names the keys that are missing, unknown or of another shape.
    """
    if len(shapes.get(CLASSES_KEY, ())) != KERNEL_RANK:
        raise ValueError(f"is not of a YOLO-NAS detector: it lacks {CLASSES_KEY}")
    classes, width, *_ = shapes[CLASSES_KEY]
    names = [name for name, spec in VARIANTS.items() if spec.heads[0] == width]
    if not names or classes < 1:
        raise ValueError(f"is of no known variant: {CLASSES_KEY} is {shapes[CLASSES_KEY]}")
    variant, form = names[0], _form(shapes)
    wanted = _in_form(variant, classes, form, device="meta")
    if not has_norms(shapes):
        fold_batch_norms(wanted)
    needed = {key: tuple(value.shape) for key, value in wanted.state_dict().items()}
    _compare(shapes, needed, f"{variant} ({form})")
    return variant, form, classes


def _with_norms(variant: str, classes: int, state: State) -> State:
    """The fully fused form of what has no batch norms."""
    model = _in_form(variant, classes, "full")
    fold_batch_norms(model)
    model.load_state_dict(state)
    unfold_batch_norms(model)
    return dict(model.state_dict())


def _form(shapes: Shapes) -> Form:
    if any(".branch_3x3." in key for key in shapes):
        return "branches"
    return "partial" if any(".post_bn." in key for key in shapes) else "full"


def _compare(found: Shapes, wanted: Shapes, what: str) -> None:
    """Raises ValueError that names the first keys that differ."""
    missing = [key for key in wanted if key not in found]
    unknown = [key for key in found if key not in wanted]
    faults = [f"lacks {_named(missing)}"] if missing else []
    if unknown:
        faults.append(f"has unknown {_named(unknown)}")
    if missing and [*found.values()] == [*wanted.values()]:
        faults.append("all shapes match in order, but only equal names tell what a tensor is")
    wrong = [
        f"{key} of {found[key]} instead of {wanted[key]}"
        for key in wanted
        if key in found and found[key] != wanted[key]
    ]
    if wrong:
        faults.append(f"has {_named(wrong)}")
    if faults:
        raise ValueError(f"is not a {what}: {'; '.join(faults)}")


def _plain(file: TorchFile, key: str, value: Any) -> Any:
    """The value; numbers of metrics may be tensors."""
    if not isinstance(value, StoredTensor):
        return value
    if math.prod(side or 1 for side in value.shape) > LONGEST_METRIC:
        raise ValueError(f"{key} is a tensor of {value.shape}, which no metric is")
    return file.tensor(value).tolist()


def _tensor(file: TorchFile, key: str, stored: StoredTensor, form: Form) -> Tensor:
    """The tensor in the dtype of the module. Raises ValueError for what is no number."""
    tensor = file.tensor(stored)
    if key.endswith("num_batches_tracked"):
        return tensor.to(torch.int64)
    if not tensor.is_floating_point():
        raise ValueError(f"{key} is of {stored.storage.dtype}: quantized weights cannot be loaded")
    single = tensor.to(torch.float32)
    used = form != "branches" or PLACE_HOLDER not in key
    if used and not torch.isfinite(single).all():
        raise ValueError(f"{key} is not finite: the training had diverged")
    if key.endswith("running_var") and (single < 0).any():
        raise ValueError(f"{key} has negative variances: the file is damaged")
    return single


def _processing(content: Mapping[str, Any], classes: int, path: Path) -> Processing:
    """As the file says, or of COCO."""
    if content.get("processing_params"):
        processing = processing_params.read(content["processing_params"])
    elif content.get("class_names") is not None:
        processing = _ours(content)
    elif classes == len(coco.CLASS_NAMES):
        return coco.PROCESSING
    else:
        log.warning(
            "checkpoint %s says nothing of classes and preparation: taken are the numbers of the "
            "classes, RGB and the preparation of the COCO weights",
            path,
        )
        names = tuple(map(str, range(classes)))
        return Processing(names, coco.PROCESSING.letterbox, rule=coco.PROCESSING.rule)
    if len(processing.class_names) != classes:
        raise ValueError(
            f"names {len(processing.class_names)} classes, but its weights are of {classes}"
        )
    return processing


def _ours(content: Mapping[str, Any]) -> Processing:
    """As this project's training writes it."""
    if "input_size" not in content:
        raise ValueError(
            "names its classes, but lacks the entry 'input_size': add [height, width] in pixels"
        )
    height, width = sides(content["input_size"], "input_size")
    names = listed(content["class_names"], "class_names")
    return Processing(tuple(names), Letterbox(height, width), voting=Voting())


def _in_form(variant: str, classes: int, form: Form, device: str = "cpu") -> YoloNASModule:
    with torch.device(device):
        model = build(variant, classes)
        return model if form == "branches" else model.fuse(full=form == "full")


def _named(keys: list[str]) -> str:
    rest = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return ", ".join(f"{key:.100}" for key in keys[:NAMED]) + rest


def _why(error: Exception) -> str:
    return f"lacks the entry {error}" if isinstance(error, KeyError) else str(error)
