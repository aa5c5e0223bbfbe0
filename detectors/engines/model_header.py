"""What an ONNX file says of itself beside its graph, read without the onnx package.

Only the outermost fields of the file's protobuf (`ModelProto` in onnx.proto) are looked at; the
graph, nearly all of the file, is skipped. So a file that cannot be run is refused in words, and
before a runtime spends time on it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from detectors.base import Precision
from pipeline.core.errors import EngineLoadError

LATEST_OPSET = 21
"""The newest opset that all three runtimes read, from TensorRT 10.6 on; Eyrie writes older ones."""

PRECISION_KEY = "eyrie.precision"
GRID_KEY = "eyrie.input_grid"
"""The key of a graph that was rewritten to take integers: scale and zero point, with a space
between."""

_GRAPH, _OPSET_IMPORT, _METADATA = 7, 8, 14  # fields of ModelProto
_DOMAIN_OR_KEY, _VERSION_OR_VALUE = 1, 2  # of OperatorSetIdProto and StringStringEntryProto
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_STANDARD_DOMAINS = (b"", b"ai.onnx")
_LONGEST_VARINT = 10
_SMALL = 1 << 20  # what is longer is the graph, or no header

Field = tuple[int, int | bytes]


@dataclass(frozen=True, slots=True)
class ModelHeader:
    """Opset of the standard operators, and the metadata entries."""

    opset: int
    metadata: dict[str, str]

    @property
    def precision(self) -> Precision:
        """What the file was made for; `fp32` where it does not say."""
        said = self.metadata.get(PRECISION_KEY, "fp32")
        return cast(Precision, said) if said in get_args(Precision) else "fp32"

    @classmethod
    def read(cls, path: Path) -> "ModelHeader":
        """Raises `EngineLoadError` when the file is missing, cut off, or no ONNX model."""
        try:
            content = path.read_bytes()
        except OSError as error:
            why = "there is no such file" if not path.exists() else error.strerror
            raise EngineLoadError(f"model {path}: {why}") from error
        try:
            return cls._parse(content)
        except UnicodeDecodeError as error:
            raise EngineLoadError(f"model {path}: damaged: its metadata is no text") from error
        except ValueError as error:
            raise EngineLoadError(f"model {path}: damaged, or no ONNX file: {error}") from error

    @classmethod
    def _parse(cls, content: bytes) -> "ModelHeader":
        opset, metadata, has_graph = 0, {}, False
        for number, value in _fields(content):
            if number == _GRAPH:
                has_graph = True
            elif number in (_OPSET_IMPORT, _METADATA) and isinstance(value, bytes):
                entry = dict(_fields(value))
                key, said = entry.get(_DOMAIN_OR_KEY, b""), entry.get(_VERSION_OR_VALUE, b"")
                if number == _OPSET_IMPORT and key in _STANDARD_DOMAINS and isinstance(said, int):
                    opset = said
                elif number == _METADATA and isinstance(key, bytes) and isinstance(said, bytes):
                    metadata[key.decode()] = said.decode()
        if not has_graph or not opset:
            raise ValueError("it holds no graph" if not has_graph else "it names no opset")
        return cls(opset, metadata)


def _fields(content: bytes) -> Iterator[Field]:
    """Number and value of each field; a field of more than 1 MiB as no bytes. Raises ValueError
    when the content ends within one."""
    at, end = 0, len(content)
    while at < end:
        tag, at = _varint(content, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(content, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(content, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"byte {at} is none of its format")
        if at + size > end:
            raise ValueError(f"it ends after {end} bytes, within a part of {size} bytes")
        yield number, content[at : at + size] if size <= _SMALL else b""
        at += size


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A number in base 128, lowest digits first, and where it ends."""
    value = 0
    for n, byte in enumerate(content[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * n)
        if byte < 0x80:
            return value, at + n + 1
    raise ValueError(f"it ends within a number at byte {at}")
