"""How a picture becomes what a network was trained on, and what the network's outputs mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from detectors.letterbox import Letterbox, Placement, Transform
from detectors.yolo_nas.postprocess import Suppression, best_scores, suppress, thin
from detectors.yolo_nas.voting import Voting, vote
from pipeline.core.arrays import F32, I64, U8
from pipeline.core.picture import AnyPicture

Color = Literal["rgb", "bgr"]
Channels = tuple[float, float, float]

ZERO: Channels = (0.0, 0.0, 0.0)
WHITE: Channels = (255.0, 255.0, 255.0)
LARGEST_SIDE_PX = 4096
RULE_KINDS = {name: type(value) for name, value in asdict(Suppression()).items()}
KIND_WORDS = {float: "a number", int: "a whole number", bool: "True or False"}


@dataclass(frozen=True, slots=True)
class Processing:
    """Everything between pixels and boxes that is not the network itself.

    A pixel becomes (value - mean) / std, `mean` and `std` on the scale of 0 to 255 and in the
    order of the network's channels, which is `color`. `rule` is how the checkpoint's makers
    suppress duplicates; whoever has another purpose takes another. `voting` refines what is kept;
    public checkpoints have none.

    Raises ValueError for class names that are none or not distinct, for inputs of more than 4096
    pixels a side, and for a `std` that is not positive.
    """

    class_names: tuple[str, ...]
    letterbox: Letterbox
    color: Color = "rgb"
    mean: Channels = ZERO
    std: Channels = WHITE
    rule: Suppression = field(default_factory=Suppression)
    voting: Voting | None = None

    def __post_init__(self) -> None:
        _check_names(self.class_names)
        small = max(self.input_size) <= LARGEST_SIDE_PX
        _require(small, "input_size", f"at most {LARGEST_SIDE_PX} pixels a side", self.input_size)
        _require(self.color in get_args(Color), "color", "rgb or bgr", self.color)
        _require(_three_finite(self.mean), "mean", "three finite numbers", self.mean)
        positive = _three_finite(self.std) and all(value > 0 for value in self.std)
        _require(positive, "std", "three positive finite numbers", self.std)

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the network's input, in pixels."""
        return self.letterbox.height, self.letterbox.width

    def resized(self, height: int, width: int) -> Processing:
        """The same for an input of another size, with the least padding it had."""
        return replace(self, letterbox=self.letterbox.sized(height, width))

    def prepare(self, image: U8) -> tuple[F32, Transform]:
        """(H, W, 3) uint8 RGB -> (3, height, width) float32, and the way back of boxes."""
        tensor, (transform,) = self.prepare_batch([image])
        return tensor[0], transform

    def prepare_batch(self, pictures: Sequence[AnyPicture]) -> tuple[F32, list[Transform]]:
        """B pictures of any sizes, arrays as (H, W, 3) uint8 RGB -> (B, 3, height, width) float32,
        and the way back of each one's boxes. Whoever has many: see `Preparation`."""
        tensor = np.empty((len(pictures), 3, *self.input_size), np.float32)
        canvas = np.empty((*self.input_size, 3), np.uint8)
        transforms = []
        for row, picture in zip(tensor, pictures, strict=True):
            transforms.append(self.letterbox.fill(picture, canvas))
            self.normalize(canvas, row)
        return tensor, transforms

    def finish(self, boxes: F32, scores: F32, rule: Suppression) -> tuple[F32, F32, I64]:
        """The network's answer to one image, boxes (A, 4) and scores (A, C), without duplicates and
        refined: as `postprocess.suppress`. The limit of `rule` holds for scores before and after
        voting."""
        if self.voting is None:
            return suppress(boxes, scores, rule)
        best = best_scores(scores)
        kept = suppress(boxes, scores, rule, best)
        return thin(vote(kept, boxes, scores, self.voting, best), rule)

    def normalize(self, padded: U8, out: F32) -> None:
        """A letterboxed picture (height, width, 3) uint8 RGB -> `out` (3, height, width)."""
        ordered = padded if self.color == "rgb" else padded[..., ::-1]
        for channel, mean, std in zip(range(3), self.mean, self.std, strict=True):
            np.multiply(ordered[..., channel], np.float32(1 / std), out=out[channel])
            if mean:
                out[channel] -= np.float32(mean / std)

    def to_metadata(self) -> dict[str, Any]:
        """As JSON values, for a model file; `from_metadata` reads them."""
        box = self.letterbox
        return {
            "class_names": list(self.class_names),
            "input_size": [box.height, box.width],
            "preprocessing": {
                "color": self.color,
                "mean": list(self.mean),
                "std": list(self.std),
                "letterbox": box.placement,
                "pad_value": box.pad_value,
                "fit": list(box.fit) if box.fit else None,
                "keep_aspect": box.keep_aspect,
            },
            "suppression": asdict(self.rule),
            "voting": asdict(self.voting) if self.voting else None,
        }

    @classmethod
    def from_metadata(cls, said: dict[str, Any]) -> Processing:
        """From the values of `to_metadata`; what older files lack has its default.

        Raises ValueError, KeyError or TypeError for values that make no sense.
        """
        prepare = said["preprocessing"]
        pad, fit = prepare["pad_value"], prepare.get("fit")
        placement, placements = prepare["letterbox"], get_args(Placement)
        height, width = sides(said["input_size"], "input_size")
        _require(type(pad) is int and 0 <= pad <= 255, "pad_value", "of 0 to 255", pad)
        _require(placement in placements, "letterbox", " or ".join(placements), placement)
        letterbox = Letterbox(
            height,
            width,
            placement,
            pad,
            None if fit is None else sides(fit, "fit"),
            bool(prepare.get("keep_aspect", True)),
        )
        return cls(
            tuple(listed(said["class_names"], "class_names")),
            letterbox,
            prepare["color"],
            tuple(prepare.get("mean", ZERO)),
            tuple(prepare.get("std", WHITE)),
            suppression(said.get("suppression", {})),
            _voting(said.get("voting")),
        )


def listed(value: Any, key: str) -> Sequence[Any]:
    """The value, if it is a list or tuple. Raises ValueError that names the key."""
    _require(isinstance(value, list | tuple), key, "a list", value)
    return value  # type: ignore[no-any-return]


def sides(value: Any, key: str) -> tuple[int, int]:
    """Height and width in pixels. Raises ValueError that names the key."""
    whole = isinstance(value, list | tuple) and all(type(side) is int for side in value)
    right = whole and len(value) == len(("height", "width"))
    _require(right, key, "two whole numbers, height and width", value)
    height, width = value
    return height, width


def suppression(said: Mapping[str, Any], names: Mapping[str, str] | None = None) -> Suppression:
    """The rule of these values, by the keys of `Suppression` or by those that `names` translates.

    Raises ValueError that names the key whose value is of the wrong type or out of range.
    """
    rule = {}
    for key, value in said.items():
        name = key if names is None else names[key]
        kind = RULE_KINDS.get(name)
        if kind is None:
            raise ValueError(f"unknown suppression parameter {key!r:.80}")
        right = type(value) is kind or (kind is float and type(value) is int)
        _require(right, key, KIND_WORDS[kind], value)
        rule[name] = value
    return Suppression(**rule)


def _voting(said: Any) -> Voting | None:
    if said is None:
        return None
    for key, value in said.items():
        _require(type(value) in (int, float), f"voting {key}", KIND_WORDS[float], value)
    return Voting(**said)


def _check_names(names: Sequence[Any]) -> None:
    _require(len(names) > 0, "class_names", "one name or more", names)
    printable = all(type(name) is str and name.isprintable() for name in names)
    _require(printable, "class_names", "printable text", names)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"class_names hold {twice[0]!r:.80} twice: give every class its own name")


def _three_finite(values: Sequence[float]) -> bool:
    return len(values) == len(ZERO) and all(
        type(value) in (int, float) and np.isfinite(value) for value in values
    )


def _require(right: bool, key: str, wanted: str, value: object) -> None:
    if not right:
        raise ValueError(f"{key} must be {wanted}, got {value!r:.80}")
