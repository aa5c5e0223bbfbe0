"""A checkpoint as a deployable ONNX file.

Any checkpoint that `detectors.yolo_nas.checkpoints` reads: its weights, fully fused, with batch
norms folded into their convolutions. Input `images`
(batch, 3, H, W) f32, prepared as the file's metadata say; outputs `boxes` (batch, A, 4) xyxy pixels
and `scores` (batch, A, C). What a user of the file must know is in its metadata, see `describe`.
"""

from __future__ import annotations

import datetime
import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from detectors.yolo_nas.architecture.fuse import fold_batch_norms
from detectors.yolo_nas.architecture.heads import STRIDES
from detectors.yolo_nas.architecture.model import YoloNASModule
from detectors.yolo_nas.attach_proof import attach
from detectors.yolo_nas.checkpoints.checkpoint import Checkpoint
from detectors.yolo_nas.detector import METADATA_KEY
from detectors.yolo_nas.processing import Processing
from pipeline.core.log import get_logger

log = get_logger(__name__)

PRECISION_KEY = "eyrie.precision"
PROVENANCE = ("data", "pictures_seen", "epoch", "seed")
OPSET = 17
KERNEL_RANK = 4
LARGE_KERNEL = 30_000
BOX_TOLERANCE_PX = 2e-2
SCORE_TOLERANCE = 1e-4


def export(
    checkpoint: Checkpoint,
    out: Path,
    size: tuple[int, int] | None = None,
    training: dict[str, Any] | None = None,
    half: bool = False,
) -> None:
    """Write `out` for inputs of `size` (height, width; default: the checkpoint's), and verify it.

    `training` is what the metadata say of the training besides what the checkpoint does. `half`
    stores kernels of `LARGE_KERNEL` or more values in half precision: a smaller file, which no
    longer computes exactly what the checkpoint does; the arithmetic stays float32. The file holds
    its own answers to two pictures, see `detectors.yolo_nas.proof`. Raises ValueError when the file
    computes something else than the checkpoint's model.
    """
    processing = checkpoint.processing
    if size is not None:
        processing = processing.resized(*size)
    model = checkpoint.module().fuse(full=True)
    fold_batch_norms(model)
    if half:
        _round_kernels(model)
    out.parent.mkdir(parents=True, exist_ok=True)
    _write(model, out, processing.input_size)
    _annotate(out, describe(checkpoint, processing, training or {}), half)
    _verify(model, out, processing)
    attach(out)
    log.info("%s: %.2f MB", out, out.stat().st_size / 1e6)


def describe(
    checkpoint: Checkpoint, processing: Processing, training: dict[str, Any]
) -> dict[str, Any]:
    """The value of the metadata key `eyrie.model`: family, classes, preparation, provenance."""
    about = {key: checkpoint.about[key] for key in PROVENANCE if key in checkpoint.about}
    if "data" in about:
        about["data"] = [Path(path).name for path in about["data"]]
    return {
        "family": "yolo_nas",
        "variant": checkpoint.variant,
        **processing.to_metadata(),
        "checkpoint_sha256": checkpoint.sha256,
        "training": about
        | {"date": datetime.datetime.now(datetime.UTC).date().isoformat()}
        | training,
    }


@torch.no_grad()
def _round_kernels(model: YoloNASModule) -> None:
    """Round kernels to what the file will hold, so that the two can be compared closely."""
    for parameter in model.parameters():
        if parameter.ndim == KERNEL_RANK and parameter.numel() >= LARGE_KERNEL:
            parameter.copy_(parameter.half())


def _write(model: YoloNASModule, out: Path, size: tuple[int, int]) -> None:
    with warnings.catch_warnings():
        # The grid of anchors is meant to become a constant: that is what a fixed size is for.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.onnx")
        torch.onnx.export(
            model,
            (torch.zeros(2, 3, *size),),
            str(out),
            input_names=["images"],
            output_names=["boxes", "scores"],
            dynamic_axes={name: {0: "batch"} for name in ("images", "boxes", "scores")},
            opset_version=OPSET,
            dynamo=False,
        )


def _annotate(path: Path, description: dict[str, Any], half: bool) -> None:
    model = onnx.load(path)
    _fix_output_shapes(model, description)
    if half:
        store_half(model)
    entries = {METADATA_KEY: json.dumps(description), PRECISION_KEY: "fp32"}
    onnx.helper.set_model_props(model, entries)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _fix_output_shapes(model: onnx.ModelProto, description: dict[str, Any]) -> None:
    height, width = description["input_size"]
    anchors = sum((height // s) * (width // s) for s in STRIDES)
    for output, last in zip(model.graph.output, (4, len(description["class_names"])), strict=True):
        sides = output.type.tensor_type.shape.dim
        sides[1].dim_value, sides[2].dim_value = anchors, last


def store_half(model: onnx.ModelProto) -> None:
    """Keep large kernels as float16, each followed by a Cast that runtimes fold at load."""
    casts = []
    for tensor in model.graph.initializer:
        if len(tensor.dims) != KERNEL_RANK or math.prod(tensor.dims) < LARGE_KERNEL:
            continue
        values = onnx.numpy_helper.to_array(tensor).astype(np.float16)
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, f"{name}.half"))
        casts.append(
            onnx.helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT)
        )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _verify(model: YoloNASModule, path: Path, processing: Processing) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for batch in (1, 3):
        noise = rng.integers(0, 256, (batch, *processing.input_size, 3), np.uint8)
        images, _ = processing.prepare_batch(list(noise))
        with torch.inference_mode():
            wanted = [t.numpy() for t in model(torch.from_numpy(images))[0]]
        found = session.run(["boxes", "scores"], {"images": images})
        gaps = [float(np.abs(a - b).max()) for a, b in zip(found, wanted, strict=True)]
        log.info("batch %d: boxes differ by %.2g px, scores by %.2g", batch, *gaps)
        if gaps[0] > BOX_TOLERANCE_PX or gaps[1] > SCORE_TOLERANCE:
            raise ValueError(
                f"{path}: differs from the checkpoint at batch {batch}: "
                f"boxes by {gaps[0]:.3g} px, scores by {gaps[1]:.3g}"
            )
