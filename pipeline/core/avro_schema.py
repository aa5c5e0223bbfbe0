"""The message models as an Avro schema (1.12): a union of records, one for each kind and event.

Enumerated strings are plain strings, since later versions add values; times are `timestamp-micros`.
Every field with a default has one here, too, so that readers and writers of different minor
versions resolve each other's records.
"""

import types
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pipeline.core.messages import MESSAGE_MODELS

NAMESPACE: Final = "eyrie.detections"
_SCALARS: Final[dict[Any, Any]] = {
    str: "string",
    int: "long",
    float: "double",
    datetime: {"type": "long", "logicalType": "timestamp-micros"},
    AwareDatetime: {"type": "long", "logicalType": "timestamp-micros"},
}


def avro_schema() -> list[dict[str, Any]]:
    """The union of all messages, in the order of `MESSAGE_MODELS`. A record that several share is
    written out where it comes first."""
    known: set[str] = set()
    return [_record(model, known) for model in MESSAGE_MODELS]


def _record(model: type[BaseModel], known: set[str]) -> Any:
    name = model.__name__
    if name in known:
        return f"{NAMESPACE}.{name}"
    known.add(name)
    fields = [_field(f.alias or key, f, known) for key, f in model.model_fields.items()]
    doc = " ".join((model.__doc__ or "").split())
    return {"type": "record", "name": name, "namespace": NAMESPACE, "doc": doc, "fields": fields}


def _field(name: str, field: FieldInfo, known: set[str]) -> dict[str, Any]:
    default = field.get_default(call_default_factory=True, validated_data={})
    said = {} if default is PydanticUndefined else {"default": default}
    return {"name": name, "type": _type(field.annotation, known), **said}


def _type(annotation: Any, known: set[str]) -> Any:
    """Raises `TypeError` for what no message has had so far."""
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _record(annotation, known)
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(args[0], known)
    if origin is Literal and all(isinstance(word, str) for word in args):
        return "string"
    if origin in (Union, types.UnionType) and len(args) == 2 and args[1] is types.NoneType:
        return ["null", _type(args[0], known)]
    if origin is dict:
        return {"type": "map", "values": _type(args[1], known)}
    if origin is list or (origin is tuple and len(set(args)) == 1):
        return {"type": "array", "items": _type(args[0], known)}
    raise TypeError(f"no Avro type for {annotation}")
