"""The `processing_params` that super-gradients writes into checkpoints, as a `Processing`.

They describe the preparation of an RGB picture as a list of steps. Fine-tuned networks differ from
the public ones in almost every step: most take BGR, fill 640 x 640 and pad at the bottom and right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from detectors.letterbox import Letterbox, Placement
from detectors.yolo_nas.processing import Channels, Color, Processing, listed, sides, suppression
from pipeline.core.arrays import F64

RULE_KEYS = {
    "conf": "conf",
    "iou": "iou",
    "nms_top_k": "top_k",
    "max_predictions": "max_boxes",
    "multi_label_per_box": "multi_label",
    "class_agnostic_nms": "class_agnostic",
}
DEFAULT_CONF = 0.5
"""What a model of super-gradients starts with, when its parameters do not say."""
CHANNELS_FIRST = (2, 0, 1)
LARGEST_PAD = 255
MOST_STEPS = 1000


def read(params: Any) -> Processing:
    """The processing that `processing_params` describe.

    Raises ValueError that names the step which cannot be followed exactly.
    """
    if not isinstance(params, Mapping):
        raise ValueError(f"processing_params are a {type(params).__name__}, not a dict")
    unknown = set(params) - {*RULE_KEYS, "class_names", "image_processor"}
    if unknown:
        raise ValueError(f"unknown processing parameter {_listed(unknown)}")
    steps = _Steps()
    for name, arguments in _flat(params["image_processor"]):
        steps.follow(name, arguments)
    said = {key: params[key] for key in RULE_KEYS if params.get(key) is not None}
    rule = suppression({"conf": DEFAULT_CONF, **said}, RULE_KEYS)
    mean, std = steps.mean_and_std()
    names = tuple(map(str, listed(params["class_names"], "class_names")))
    return Processing(names, steps.letterbox(), steps.color, mean, std, rule)


def _flat(spec: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and arguments of all steps in order. A step is a name, a set with a name, or a dict of
    a name and its arguments; `ComposeProcessing` holds a list of steps."""
    waiting, seen = [spec], 0
    while waiting:
        step, seen = waiting.pop(), seen + 1
        if max(seen, len(waiting)) > MOST_STEPS:
            raise ValueError(f"image_processor has more than {MOST_STEPS} steps: refused")
        if isinstance(step, list | tuple):
            waiting.extend(reversed(step))
        elif isinstance(step, str):
            yield step, {}
        elif isinstance(step, set | dict) and len(step) == 1:
            name, arguments = _named(step)
            if name == "ComposeProcessing":
                waiting.append(arguments.get("processings", []))
            else:
                yield name, arguments
        else:
            raise ValueError(f"processing step {step!r:.80} is not a name with arguments")


def _named(step: set[Any] | dict[Any, Any]) -> tuple[str, dict[str, Any]]:
    (name,) = step
    arguments = (step[name] or {}) if isinstance(step, dict) else {}
    if not isinstance(arguments, dict):
        raise ValueError(f"processing step {name!r:.80} has {arguments!r:.80}, not arguments")
    return str(name), arguments


@dataclass
class _Steps:
    """What the steps so far do: a pixel becomes value * gain + shift, by channel."""

    color: Color = "rgb"
    channels_first: bool = False
    fit: tuple[int, int] | None = None
    keep_aspect: bool = True
    padded: tuple[int, int] | None = None
    placement: Placement = "bottom_right"
    pad_value: int = 114
    gain: F64 = field(default_factory=lambda: np.ones(3))
    shift: F64 = field(default_factory=lambda: np.zeros(3))

    def follow(self, name: str, arguments: dict[str, Any]) -> None:
        """Add one step. Raises ValueError that names it."""
        if name not in STEPS:
            raise ValueError(f"unknown processing step {name!r:.80}; known: {_listed(STEPS)}")
        try:
            STEPS[name](self, **arguments)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise ValueError(f"processing step {name}: {error}") from error

    def letterbox(self) -> Letterbox:
        """How pictures of any size come to the size of the input."""
        if self.fit is None:
            raise ValueError("no processing step rescales: pictures of any size could not be taken")
        height, width = self.padded or self.fit
        if self.padded is None and self.keep_aspect:
            raise ValueError("no processing step pads: inputs would be of many sizes")
        fit = None if self.fit == (height, width) else self.fit
        return Letterbox(height, width, self.placement, self.pad_value, fit, self.keep_aspect)

    @np.errstate(all="ignore")  # what is not finite is refused by `Processing`
    def mean_and_std(self) -> tuple[Channels, Channels]:
        """With (value - mean) / std the same as value * gain + shift."""
        return _channels(-self.shift / self.gain), _channels(1 / self.gain)

    def reverse(self) -> None:
        """RGB to BGR, or back."""
        self._needs_channels_last()
        self.color = "rgb" if self.color == "bgr" else "bgr"
        self.gain, self.shift = self.gain[::-1], self.shift[::-1]

    def rescale_longest(self, output_shape: Any) -> None:
        """As large as fits, with the aspect kept. Doing it twice changes nothing."""
        self._rescale(output_shape, keep_aspect=True)

    def stretch(self, output_shape: Any) -> None:
        """To exactly this size. Doing it after `rescale_longest` comes to the same place."""
        self._rescale(output_shape, keep_aspect=False)

    def pad_centre(self, output_shape: Any, pad_value: Any) -> None:
        """On all sides."""
        self._pad(_sides(output_shape), pad_value, "centre")

    def pad_bottom_right(self, output_shape: Any, pad_value: Any) -> None:
        """At the bottom and the right."""
        self._pad(_sides(output_shape), pad_value, "bottom_right")

    def pad_to_multiple(self, shape_multiple: Any, pad_value: Any) -> None:
        """At the bottom and the right, to the next multiple. The least input that takes pictures of
        any aspect is one of multiples of the whole rescaled size; some get more padding in it."""
        if self.fit is None:
            raise ValueError("inputs would be of many sizes, as no step before it rescales")
        multiples = zip(self.fit, _sides(shape_multiple), strict=True)
        height, width = (-(-side // multiple) * multiple for side, multiple in multiples)
        self._pad((height, width), pad_value, "bottom_right")

    def standardize(self, max_value: float = 255.0) -> None:
        """Divide by the largest value."""
        self._scale(np.zeros(3), np.full(3, float(max_value)))

    def normalize(self, mean: Any, std: Any) -> None:
        """Subtract the mean and divide by the deviation, by channel."""
        self._needs_channels_last()
        self._scale(np.ravel(mean).astype(np.float64), np.ravel(std).astype(np.float64))

    def permute(self, permutation: Any = CHANNELS_FIRST) -> None:
        """From (H, W, C) to (C, H, W), which is how networks take them in any case."""
        self._needs_channels_last()
        if tuple(permutation) != CHANNELS_FIRST:
            raise ValueError(f"to {tuple(permutation)}, not {CHANNELS_FIRST}")
        self.channels_first = True

    @np.errstate(all="ignore")
    def _scale(self, mean: F64, std: F64) -> None:
        shaped = mean.shape in ((1,), (3,)) and std.shape in ((1,), (3,))
        finite = np.isfinite(mean).all() and np.isfinite(std).all()
        if not shaped or not finite or not (std > 0).all():
            raise ValueError(f"not 3 means and 3 positive deviations: {mean}, {std}")
        self.gain, self.shift = self.gain / std, (self.shift - mean) / std

    def _rescale(self, output_shape: Any, *, keep_aspect: bool) -> None:
        self._needs_channels_last()
        size = _sides(output_shape)
        if self.padded is not None or self.fit not in (None, size):
            raise ValueError(
                f"to {size}, after pictures were rescaled to {self.padded or self.fit}"
            )
        self.keep_aspect = keep_aspect and (self.fit is None or self.keep_aspect)
        self.fit = size

    def _pad(self, size: tuple[int, int], pad_value: Any, placement: Placement) -> None:
        self._needs_channels_last()
        values = set(np.ravel(pad_value).tolist())
        if self.padded is not None:
            raise ValueError("pads a second time")
        if not (self.gain == 1).all() or self.shift.any():
            raise ValueError("pads after the pixels were scaled")
        if len(values) != 1 or not all(0 <= v <= LARGEST_PAD and v == int(v) for v in values):
            raise ValueError(f"pads with {pad_value!r}, not with one whole number of 0 to 255")
        self.padded, self.placement, self.pad_value = size, placement, int(values.pop())

    def _needs_channels_last(self) -> None:
        if self.channels_first:
            raise ValueError("comes after the channels were put first")


STEPS: dict[str, Callable[..., None]] = {
    "ReverseImageChannels": _Steps.reverse,
    "DetectionLongestMaxSizeRescale": _Steps.rescale_longest,
    "DetectionRescale": _Steps.stretch,
    "DetectionCenterPadding": _Steps.pad_centre,
    "DetectionBottomRightPadding": _Steps.pad_bottom_right,
    "DetectionAutoPadding": _Steps.pad_to_multiple,
    "StandardizeImage": _Steps.standardize,
    "NormalizeImage": _Steps.normalize,
    "ImagePermute": _Steps.permute,
}


def _sides(shape: Any) -> tuple[int, int]:
    """Height and width, given both or one for both."""
    return sides([shape, shape] if isinstance(shape, int) else shape, "size")


def _channels(values: F64) -> Channels:
    """Rounded to what float32 can tell apart, so that 1 / (1 / 255) is 255."""
    first, second, third = (float(f"{value + 0.0:.9g}") for value in values)
    return first, second, third


def _listed(names: Any) -> str:
    return ", ".join(sorted(map(str, names)))
