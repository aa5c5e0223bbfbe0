"""What a checkpoint's pickle may name, and what each name becomes: tensors, NumPy, plain data.

Nothing here imports or makes an object of the named libraries, but for NumPy arrays of numbers.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from detectors.yolo_nas.checkpoints.unpickle import Call, Name, RefusedPickle, StandIn, Table, key
from pipeline.core.arrays import AnyArray

STORAGES = {
    "torch.DoubleStorage": "float64",
    "torch.FloatStorage": "float32",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
}
LARGEST_RANK = 8
LARGEST_EMPTY = 2**16
"""How many rows a tensor may have in which nothing lies."""
LARGEST_TEXT = 2
"""How many parts a device has: its kind and its index."""
NUMBERS = re.compile(r"[biufcSU?]\d{0,4}|bool")


@dataclass(frozen=True, slots=True)
class Storage:
    """A flat array of `count` numbers in the record `data/<record>` of the file."""

    dtype: str
    record: str
    count: int


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor lies in its storage; it is read when it is asked for.

    Raises `RefusedPickle` when it would reach out of its storage.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        numbers = (*self.shape, *self.strides, self.offset)
        if any(type(n) is not int or n < 0 for n in numbers) or len(numbers) > 2 * LARGEST_RANK + 1:
            raise RefusedPickle("is damaged: a tensor with sides that are no sizes")
        steps = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((side - 1) * stride for side, stride in steps)
        elements = math.prod(self.shape)
        rows = math.prod(side for side in self.shape if side)
        fits = max(last + 1, elements) <= self.storage.count if elements else rows <= LARGEST_EMPTY
        if not fits:
            raise RefusedPickle(f"is damaged: a tensor of {self.shape} reaches out of its storage")


@dataclass(slots=True)
class Numbers(StandIn):
    """A NumPy dtype of numbers or text."""

    kind: str
    order: Literal["<", ">", "|", "="] = "="

    def build(self, state: Any) -> None:
        """(version, byte order, parts of a compound dtype ...)."""
        _, order, *parts = state
        if order not in ("<", ">", "|", "=") or any(part is not None for part in parts[:3]):
            raise RefusedPickle("holds a compound NumPy dtype: refused")
        self.order = order

    def plain(self) -> str:
        """Its name."""
        return self.kind

    def of(self, data: Any) -> AnyArray:
        """The flat array whose bytes these are."""
        if not NUMBERS.fullmatch(self.kind) or not isinstance(data, bytes):
            raise RefusedPickle(f"holds a NumPy array of {self.kind!r:.40}: refused, numbers only")
        return np.frombuffer(data, np.dtype(self.kind).newbyteorder(self.order))


@dataclass(slots=True)
class Array(StandIn):
    """A NumPy array whose content is still to come."""

    values: AnyArray = field(default_factory=lambda: np.zeros(0))

    def build(self, state: Any) -> None:
        """(version, shape, dtype, whether in Fortran order, bytes)."""
        _, shape, dtype, fortran, data = state
        if not isinstance(dtype, Numbers):
            raise RefusedPickle("is damaged: a NumPy array without a dtype")
        self.values = dtype.of(data).reshape(shape, order="F" if fortran else "C")

    def plain(self) -> AnyArray:
        """The array, which cannot be written to."""
        return self.values


@dataclass(slots=True)
class Config(StandIn):
    """A node of OmegaConf: a list, a dict or a value, such as the class names of a recipe."""

    state: dict[str, Any] = field(default_factory=dict)

    def build(self, state: Any) -> None:
        """The attributes of the node."""
        if not isinstance(state, dict):
            raise RefusedPickle("is damaged: a node of OmegaConf without attributes")
        self.state = state

    def plain(self) -> Any:
        """Its content, without what the node knows of itself."""
        return self.state.get("_content", self.state.get("_val"))


def table() -> Table:
    """For checkpoints of `torch.save`."""
    return Table(CALLS, {*STORAGES, *WORDS}, _storage)


def _storage(reference: Any) -> Storage:
    kind, dtype, record, _, count = reference
    right = kind == "storage" and isinstance(dtype, Name) and dtype.path in STORAGES
    if not right or not isinstance(record, str) or type(count) is not int:
        raise RefusedPickle("is damaged: it refers to something that is no storage")
    return Storage(STORAGES[dtype.path], record, count)


def _tensor(storage: Any, offset: int, shape: Any, strides: Any, *_: Any) -> StoredTensor:
    if not isinstance(storage, Storage):
        raise RefusedPickle("is damaged: a tensor without a storage")
    return StoredTensor(storage, offset, tuple(shape), tuple(strides))


def _parameter(tensor: Any, *_: Any) -> Any:
    return tensor


def _dtype(kind: Any, *_: Any) -> Numbers:
    if not isinstance(kind, str):
        raise RefusedPickle("is damaged: a NumPy dtype without a name")
    return Numbers(kind)


def _number(dtype: Any, data: Any) -> Any:
    """A NumPy scalar, as the Python number that it is."""
    if not isinstance(dtype, Numbers):
        raise RefusedPickle("is damaged: a NumPy number without a dtype")
    (value,) = dtype.of(data)
    return value.item()


def _array(*_: Any) -> Array:
    return Array()


def _bytes(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise RefusedPickle(f"wants text encoded as {encoding!r:.40}: refused")
    return text.encode("latin1")


def _set(elements: Any = ()) -> set[Any]:
    return set(map(key, _sequence(elements)))


def _dict(pairs: Any = ()) -> dict[Any, Any]:
    return {key(name): value for name, value in map(_sequence, _sequence(pairs))}


def _default_dict(*_: Any) -> dict[Any, Any]:
    return {}


def _text(*parts: Any) -> str:
    if len(parts) > LARGEST_TEXT or not all(isinstance(part, str | int) for part in parts):
        raise RefusedPickle("is damaged: a device or version that is no text")
    return ":".join(map(str, parts))


def _config(*_: Any) -> Config:
    return Config()


def _tuple(elements: Any = ()) -> tuple[Any, ...]:
    return tuple(_sequence(elements))


def _sequence(elements: Any) -> Any:
    """The elements, if they are there already: those of a text would be made one by one."""
    if not isinstance(elements, list | tuple):
        raise RefusedPickle(f"is damaged: a {type(elements).__name__} in place of elements")
    return elements


CALLS: dict[str, Call] = {
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.Size": _tuple,
    "torch.device": _text,
    "torch.torch_version.TorchVersion": _text,
    "collections.OrderedDict": _dict,
    "collections.defaultdict": _default_dict,
    "builtins.set": _set,
    "builtins.bytes": lambda: b"",
    "_codecs.encode": _bytes,
    "numpy.dtype": _dtype,
    **{
        f"numpy.{core}.multiarray.{name}": call
        for core in ("core", "_core")
        for name, call in (("scalar", _number), ("_reconstruct", _array))
    },
    **{
        f"omegaconf.{node}": _config
        for node in (
            "listconfig.ListConfig",
            "dictconfig.DictConfig",
            "base.ContainerMetadata",
            "base.Metadata",
            "nodes.AnyNode",
            "nodes.StringNode",
            "nodes.IntegerNode",
            "nodes.FloatNode",
            "nodes.BooleanNode",
        )
    },
}
BUILTINS = ("list", "dict", "tuple", "str", "unicode", "int", "long", "float", "bool")
WORDS = (
    "numpy.ndarray",
    "typing.Any",
    *(f"builtins.{name}" for name in BUILTINS),
    *(f"torch.{name}" for name in (*STORAGES.values(), "strided", "contiguous_format")),
)
