"""What a network is made of: a table by module, and totals in which nothing is counted twice.

Networks are looked at on torch's meta device: no weights, no arithmetic, so that the largest one
takes a second and no memory.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import EngineLoadError

if TYPE_CHECKING:
    from torch import nn

    from detectors.yolo_nas.architecture.blocks import Form
    from detectors.yolo_nas.architecture.model import YoloNASModule

Shape = tuple[int, ...]
Shapes = tuple[Shape, ...]

COCO_CLASSES = 80
NOMINAL_INPUT: Shape = (1, 3, 640, 640)
FORMS: tuple[Form, Form] = ("branches", "full")
"""How a network is trained, and how it is deployed."""


@dataclass(frozen=True, slots=True)
class Row:
    """A module, with everything inside it.

    `parameters` counts place-holders too, `trainable` only what training changes. `macs`:
    multiplications with accumulation, of convolutions, for one picture.
    """

    name: str
    kind: str
    depth: int
    inputs: Shapes
    outputs: Shapes
    parameters: int
    trainable: int
    macs: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Sizes of a network in the three states of its life; MACs are of one picture.

    While it is trained each QARepVGG block carries the kernel that its branches will fuse into, an
    untrained `place_holders`: public tables count those too (`with_place_holders`), `trained` does
    not. `fused`: blocks are single convolutions. `deployed`: batch norms are folded too, as in an
    exported file.
    """

    with_place_holders: int
    place_holders: int
    trained: int
    fused: int
    deployed: int
    training_macs: int
    deployed_macs: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A network of `classes` classes at `input` (B, 3, H, W); `form` is that of its rows:
    `branches` as trained, `partial` or `full` as fused, `onnx` as exported."""

    model: str
    variant: str
    form: str
    classes: int
    input: Shape
    rows: tuple[Row, ...]
    totals: Totals

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def summarize_variant(
    name: str, classes: int = COCO_CLASSES, shape: Shape = NOMINAL_INPUT
) -> Summary:
    """A variant as it is built for training. Raises ValueError for an unknown name or shape."""
    return _summarize(name, name, "branches", classes, shape)


def summarize_checkpoint(
    source: str | Path,
    shape: Shape | None = None,
    *,
    accept_licence: bool = False,
    sha256: str | None = None,
) -> Summary:
    """What a checkpoint holds, by default at its own input size. Raises `CheckpointError`."""
    from detectors.yolo_nas.checkpoints import checkpoint

    read = checkpoint.read(source, accept_licence=accept_licence, sha256=sha256)
    classes = len(read.processing.class_names)
    shape = shape or (1, 3, *read.processing.input_size)
    return _summarize(str(source), read.variant, read.form, classes, shape)


def summarize_onnx(path: Path) -> Summary:
    """What an exported file holds, at its own input size. Raises `EngineLoadError`."""
    from detectors.engines.onnxruntime import OnnxRuntimeEngine
    from detectors.yolo_nas.architecture.summary_onnx import onnx_rows
    from detectors.yolo_nas.detector import Description

    engine = OnnxRuntimeEngine(path, threads=1)
    said = Description.read(engine.metadata, path.name)
    engine.close()
    classes, shape = len(said.processing.class_names), (1, 3, *said.processing.input_size)
    try:
        sizes, rows = totals(said.variant, classes, shape), onnx_rows(path)
    except (ValueError, KeyError) as error:
        raise EngineLoadError(f"model {path}: cannot be summarized: {error}") from error
    return Summary(path.name, said.variant, "onnx", classes, shape, rows, sizes)


def totals(variant: str, classes: int, shape: Shape) -> Totals:
    """The totals of a variant, whatever form a file of it has."""
    from detectors.yolo_nas.architecture.fuse import fold_batch_norms

    training, deployed = (_on_meta(variant, form, classes) for form in FORMS)
    with_place_holders, trained, fused = _held(training), _trainable(training), _held(deployed)
    fold_batch_norms(deployed)
    return Totals(
        with_place_holders=with_place_holders,
        place_holders=with_place_holders - trained,
        trained=trained,
        fused=fused,
        deployed=_held(deployed),
        training_macs=_measure(training, shape)[""].macs,
        deployed_macs=_measure(deployed, shape)[""].macs,
    )


def check_shape(shape: Shape) -> None:
    """Raises ValueError unless this is an input (B, 3, H, W) that the family takes."""
    batch, channels, height, width = shape if len(shape) == len(NOMINAL_INPUT) else (0, 0, 0, 0)
    if batch < 1 or channels != 3 or min(height, width) < 32 or height % 32 or width % 32:
        said = "x".join(map(str, shape))
        raise ValueError(f"an input is Bx3xHxW with H and W multiples of 32, not {said}")


def _summarize(model: str, variant: str, form: Form, classes: int, shape: Shape) -> Summary:
    check_shape(shape)
    module = _on_meta(variant, form, classes)
    rows = tuple(_measure(module, shape).values())
    return Summary(model, variant, form, classes, shape, rows, totals(variant, classes, shape))


def _on_meta(variant: str, form: Form, classes: int) -> YoloNASModule:
    import torch

    from detectors.yolo_nas.architecture.model import build

    with torch.device("meta"):
        model = build(variant, classes)
        return model if form == "branches" else model.fuse(full=form == "full")


def _measure(model: YoloNASModule, shape: Shape) -> dict[str, Row]:
    """A row for every module that is called in a forward pass, by name, the whole one first."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    seen: dict[str, tuple[Shapes, Shapes]] = {}
    hooks = [
        module.register_forward_hook(
            lambda _, given, made, name=name: seen.update({name: (_shapes(given), _shapes(made))})
        )
        for name, module in model.named_modules()
    ]
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model.eval()(torch.empty(shape, device="meta"))
    for hook in hooks:
        hook.remove()
    flops = counter.get_flop_counts()
    root = type(model).__name__
    rows = {}
    for name, module in model.named_modules():
        if name in seen:
            counted = flops.get(f"{root}.{name}" if name else root, {})
            # A multiplication and an addition count as two operations.
            macs = sum(counted.values()) // 2 // shape[0]
            rows[name] = _row(name, module, *seen[name], macs)
    return rows


def _row(name: str, module: nn.Module, inputs: Shapes, outputs: Shapes, macs: int) -> Row:
    depth = name.count(".") + 1 if name else 0
    kind = type(module).__name__
    return Row(name, kind, depth, inputs, outputs, _held(module), _trainable(module), macs)


def _held(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _trainable(module: nn.Module) -> int:
    return sum(part.numel() for part in module.parameters() if part.requires_grad)


def _shapes(value: Any) -> Shapes:
    """The shapes of all tensors in nested tuples, but for what only the loss needs."""
    from detectors.yolo_nas.architecture.heads import RawOutput

    if isinstance(value, RawOutput):
        return ()
    if isinstance(value, (tuple, list)):
        return tuple(shape for part in value for shape in _shapes(part))
    return (tuple(value.shape),)
