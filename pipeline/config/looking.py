"""Sections for what the tracker is told of the pixels: camera motion and appearance."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pipeline.config.values import FilePath, Fraction, Number, Section, Whole


def _switch(value: object) -> object:
    """The choice for a YAML switch, which is read as a boolean: `on` is `flow`."""
    if isinstance(value, bool):
        return "flow" if value else "off"
    return value


CameraMotionChoice = Annotated[Literal["off", "flow", "ecc"], BeforeValidator(_switch)]
Positive = Annotated[Number, Field(gt=0, allow_inf_nan=False)]
Level = Annotated[Number, Field(allow_inf_nan=False)]
Side = Annotated[Whole, Field(ge=1, le=2048)]


class AppearanceConfig(Section):
    """The ONNX model of the appearance of detections; see `stages.appearance` for which ones fit. A
    crop becomes its input by (level * scale - mean) / std. `size` (height, width) is
    only for models that leave theirs open. At most `most` detections of a frame are looked at, the
    best of those of at least `least_score`."""

    model: FilePath
    mean: tuple[Level, Level, Level] = (0.485, 0.456, 0.406)
    std: tuple[Positive, Positive, Positive] = (0.229, 0.224, 0.225)
    scale: Positive = 1 / 255
    order: Literal["rgb", "bgr"] = "rgb"
    size: tuple[Side, Side] | None = None
    least_score: Fraction = 0.1
    most: Annotated[Whole, Field(ge=1, le=1000)] = 64
    threads: Annotated[Whole, Field(ge=1, le=256)] = 1
