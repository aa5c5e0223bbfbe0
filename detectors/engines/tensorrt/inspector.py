"""What TensorRT's inspector says of a plan: precision and tactic of every layer.

Its JSON has two forms. Up to 10.x a tensor has one text, `Format/Datatype`, and the engine's own
tensors are `Bindings`; from 11 on `Format` and `Datatype` are two, and the list is `I/O Tensors`.
Without detailed verbosity at the build, a layer is only its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from detectors.base import Precision
from pipeline.core.errors import EngineLoadError

_ONNX_LAYER = re.compile(r"\[ONNX Layer: ([^\]]*)\]")
_INT8_TACTIC = re.compile(r"i8i8|imma|int8", re.IGNORECASE)
_TYPES: tuple[tuple[str, Precision], ...] = (
    (r"\bint8\b", "int8"),
    (r"\b(fp16|half|float16)\b", "fp16"),
    (r"\b(fp32|float32|float)\b", "fp32"),
)
_TYPE_KEYS = ("Datatype", "DataType", "Format/Datatype")


@dataclass(frozen=True, slots=True)
class EngineLayer:
    """One layer of a plan, often several of the file fused into one."""

    name: str
    kind: str
    precision: Precision | None
    """What it computes in; None where the inspector does not say, or it is none of these."""
    tactic: str
    """The kernel, in TensorRT's words; empty where it does not say."""
    onnx: tuple[str, ...]
    """The nodes of the ONNX file that it stands for."""


@dataclass(frozen=True, slots=True)
class Int8Share:
    """How many of the convolutions planned in 8 bits run in them, and which do not."""

    ran: int
    planned: int
    others: tuple[str, ...]

    @property
    def value(self) -> float:
        """From 0 to 1; 1 when none is planned."""
        return self.ran / self.planned if self.planned else 1.0

    def __str__(self) -> str:
        return f"{self.ran} of {self.planned} planned convolutions run ({100 * self.value:.1f} %)"


def layers(information: str) -> list[EngineLayer]:
    """The layers in the order in which they run. Raises `EngineLoadError` for what is not the
    inspector's JSON."""
    return [_layer(one) for one in _parsed(information)["Layers"]]


def int8_share(found: Sequence[EngineLayer], planned: Sequence[str]) -> Int8Share:
    """Which of the planned convolutions, by their names in the ONNX file, run in INT8."""
    in_int8: set[str] = set()
    for layer in found:
        if layer.precision == "int8":
            in_int8.update(layer.onnx)
    others = tuple(name for name in planned if name not in in_int8)
    return Int8Share(len(planned) - len(others), len(planned), others)


def _parsed(information: str) -> dict[str, Any]:
    try:
        said = json.loads(information)
        if isinstance(said, dict) and isinstance(said["Layers"], list):
            return said
        raise ValueError("no list of layers")
    except (ValueError, KeyError, RecursionError) as error:
        raise EngineLoadError(
            f"the inspector's answer is not understood ({error}); build the plan again"
        ) from error


def _layer(said: Any) -> EngineLayer:
    if not isinstance(said, dict):
        return EngineLayer(str(said), "", None, "", _nodes("", str(said)))
    name, tactic = str(said.get("Name", "")), str(said.get("TacticName", ""))
    kind = str(said.get("ParameterType") or said.get("LayerType") or "")
    nodes = _nodes(str(said.get("Metadata", "")), name)
    return EngineLayer(name, kind, _precision(said, tactic), tactic, nodes)


def _precision(said: dict[str, Any], tactic: str) -> Precision | None:
    """By the kernel's name, else by the type of what it reads first."""
    if _INT8_TACTIC.search(tactic):
        return "int8"
    tensors = said.get("Inputs") or said.get("Outputs") or []
    first = tensors[0] if tensors and isinstance(tensors[0], dict) else {}
    text = next((str(first[key]) for key in _TYPE_KEYS if key in first), "")
    return next((kind for words, kind in _TYPES if re.search(words, text, re.IGNORECASE)), None)


def _nodes(metadata: str, name: str) -> tuple[str, ...]:
    """Nodes of the ONNX file: from the metadata, or where there are none from the fused name."""
    found = _ONNX_LAYER.findall(metadata)
    return tuple(found or name.split(" + "))
