"""A detector of eleven convolutions as an ONNX file, and pictures labelled by what it finds.

Its weights are random, so its own boxes are the truth: it scores 100, and its quantized forms
lose what they change.
"""

import json
import warnings
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from torch import Tensor, nn

from detectors.engines.onnxruntime import OnnxRuntimeEngine
from detectors.letterbox import Letterbox
from detectors.yolo_nas.detector import METADATA_KEY
from detectors.yolo_nas.postprocess import Suppression, suppress
from detectors.yolo_nas.processing import Processing

SIDE = 64
CLASSES = ("red", "green")
TRAIN, VAL = 6, 14
SENSITIVE = "/backbone/stage2/Conv"


class Head(nn.Module):
    """Scores and boxes of one stride."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.cls_pred, self.reg_pred = nn.Conv2d(width, 2, 1), nn.Conv2d(width, 4, 1)
        self.stride = stride

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        count = SIDE // self.stride
        scores = torch.sigmoid(4 * self.cls_pred(x)).flatten(2).transpose(1, 2)
        sides = torch.sigmoid(self.reg_pred(x)).flatten(2).transpose(1, 2) * 2 + 0.2
        ys, xs = torch.meshgrid(*[torch.arange(count) + 0.5] * 2, indexing="ij")
        centre = torch.stack([xs.flatten(), ys.flatten()], dim=-1)
        boxes = torch.cat([centre - sides[..., :2], centre + sides[..., 2:]], dim=-1)
        return boxes * self.stride, scores


class Backbone(nn.Module):
    """Five convolutions of stride 2."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        for n in range(1, 5):
            self.add_module(f"stage{n}", nn.Conv2d(8, 8, 3, 2, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        made = []
        for layer in self.children():
            x = torch.relu(layer(x))
            made.append(x)
        return made[2:]


class Heads(nn.Module):
    """A head for each of three strides."""

    def __init__(self) -> None:
        super().__init__()
        for n, stride in enumerate((8, 16, 32), 1):
            self.add_module(f"head{n}", Head(8, stride))

    def forward(self, made: list[Tensor]) -> tuple[Tensor, Tensor]:
        found = [head(x) for head, x in zip(self.children(), made, strict=True)]
        return torch.cat([b for b, _ in found], 1), torch.cat([s for _, s in found], 1)


class Detector(nn.Module):
    """Pictures (B, 3, SIDE, SIDE) -> boxes (B, 84, 4) xyxy, scores (B, 84, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.heads = Backbone(), Heads()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        boxes, scores = self.heads(self.backbone(x))
        return boxes, scores


def _scale_a_channel(model: Detector) -> None:
    """A hundred times larger: a grid that holds it is coarse for the seven others."""
    parts = dict(model.named_parameters())
    for name in ("weight", "bias"):
        parts[f"backbone.stage2.{name}"][0] *= 100
    for reader in ("backbone.stage3", "heads.head1.cls_pred", "heads.head1.reg_pred"):
        parts[f"{reader}.weight"][:, 0] /= 100


def write_model(path: Path) -> Path:
    """The detector as a file that says of itself what a file of Eyrie does."""
    torch.manual_seed(5)
    model = Detector().eval()
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight *= 3
                assert layer.bias is not None
                layer.bias *= 0.3
        _scale_a_channel(model)
    axes = {name: {0: "batch"} for name in ("images", "boxes", "scores")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            model, (torch.zeros(2, 3, SIDE, SIDE),), str(path), input_names=["images"],
            output_names=["boxes", "scores"], dynamic_axes=axes, opset_version=17, dynamo=False,
        )  # fmt: skip
    processing = Processing(CLASSES, Letterbox(SIDE, SIDE))
    said = {"family": "yolo_nas", "variant": "tiny", **processing.to_metadata()}
    written = onnx.load(path)
    entries = {METADATA_KEY: json.dumps(said), "eyrie.precision": "fp32"}
    onnx.helper.set_model_props(written, entries)
    onnx.save(written, path)
    return path


def write_pictures(folder: Path, model: Path) -> Path:
    """Blurred noise with an index, each picture labelled by the best boxes that `model` finds."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    engine = OnnxRuntimeEngine(model, 1)
    lines = []
    for n in range(TRAIN + VAL):
        noise = cv2.resize(rng.integers(0, 256, (9, 9, 3), np.uint8), (SIDE, SIDE))
        cv2.imwrite(str(folder / f"{n}.png"), noise[..., ::-1])
        images = noise.transpose(2, 0, 1)[None].astype(np.float32) / 255
        boxes, scores = engine.run(images)
        xyxy, _, class_id = suppress(boxes[0], scores[0], Suppression(conf=0.01, iou=0.5))
        labels = [
            [int(label), *(round(float(side), 2) for side in box.clip(0, SIDE))]
            for label, box in list(zip(class_id, xyxy, strict=True))[:6]
        ]
        split = "train" if n < TRAIN else "val"
        lines.append({"image": f"{n}.png", "split": split, "labelled": [0, 1], "boxes": labels})
    engine.close()
    (folder / "classes.txt").write_text("\n".join(CLASSES))
    (folder / "index.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder
