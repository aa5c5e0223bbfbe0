"""Whether two versions of the contract understand each other, from their JSON Schemas.

`unreadable(written, read)` lists what a message that `written` allows may hold that a reader of
`read` does not take. Both directions matter within a major version:

- consumers of an old version read what a new one writes: `unreadable(new, old, tolerant=True)`.
  They were told to ignore fields, kinds, events and values of enumerated strings that they do not
  know (docs/messages.md, Versions), so these may be added. What they know must stay: no field goes
  away or becomes optional, no type or range widens, no closed enumeration grows.
- the new version reads what an old one wrote: `unreadable(old, new)`, where `new` is the schema of
  what `decode` accepts. No field that was written is refused, none that was not is required, no
  type or range narrows, no value of an enumeration goes away.

Covers what pydantic writes of the message models; anything else raises `KeyError`.
"""

from collections.abc import Iterator
from typing import Any, Final

Schema = dict[str, Any]
TELLS_APART: Final = ("kind", "event")
CLOSED: Final = ("direction", "counts")
"""Enumerated strings that never get another value, and what has them as keys."""
_NOTES: Final = {"title", "description", "default", "$schema", "$id", "$defs", "discriminator"}
_KEYS: Final = _NOTES | {
    "type", "const", "enum", "anyOf", "oneOf", "pattern", "format", "minimum", "exclusiveMinimum",
    "maximum", "minLength", "items", "prefixItems", "minItems", "maxItems", "properties",
    "required", "additionalProperties", "propertyNames",
}  # fmt: skip


def unreadable(written: Schema, read: Schema, *, tolerant: bool = False) -> list[str]:
    """Everything that a writer of the one may write and a reader of the other does not take, as
    `path: what`. Empty: they understand each other."""
    reader = _Reader(written.get("$defs", {}), read.get("$defs", {}), tolerant)
    return list(reader.compare(written, read, ""))


class _Reader:
    def __init__(self, written_defs: Schema, read_defs: Schema, tolerant: bool) -> None:
        self._written_defs, self._read_defs = written_defs, read_defs
        self._tolerant = tolerant

    def compare(self, written: Schema, read: Schema, path: str) -> Iterator[str]:
        written, read = _resolve(written, self._written_defs), _resolve(read, self._read_defs)
        some, other = _choices(written, self._written_defs), _choices(read, self._read_defs)
        if len(some) + len(other) > 2:
            yield from self._compare_choices(some, other, path)
            return
        unknown = (set(written) | set(read)) - _KEYS
        if unknown:
            raise KeyError(f"{path}: {sorted(unknown)}")
        yield from self._compare_values(written, read, path)
        if written.get("type") == read.get("type") == "object":
            yield from self._compare_objects(written, read, path)
        if written.get("type") == read.get("type") == "array":
            yield from self._compare_arrays(written, read, path)

    def _compare_choices(self, some: list[Schema], other: list[Schema], path: str) -> Iterator[str]:
        """Each thing that may be written must be one that is read."""
        for choice in some:
            name = _name(choice)
            alike = [reader for reader in other if _name(reader) == name]
            if not alike and name == "integer":
                alike = [reader for reader in other if reader.get("type") == "number"]
            if alike:
                yield from self.compare(choice, alike[0], f"{path}[{name}]" if name else path)
            elif not (self._tolerant and _is_message(choice)):
                yield f"{path}: {name} is not known"

    def _compare_values(self, written: Schema, read: Schema, path: str) -> Iterator[str]:
        kind, wanted = written.get("type"), read.get("type")
        if kind != wanted and (kind, wanted) != ("integer", "number"):
            yield f"{path}: {kind}, not {wanted}"
            return
        values, known = _values(written), _values(read)
        if known is not None and values is None:
            yield f"{path}: any string, not one of {', '.join(sorted(known))}"
        elif known is not None and values is not None and not (self._tolerant and _is_open(path)):
            yield from (f"{path}: {value} is not known" for value in sorted(values - known))
        # 1.0 and 1.1 wrote times as now, and did not say so
        silent = "format" not in written and not self._tolerant
        for key in ("pattern",) if silent else ("pattern", "format"):
            if values is None and key in read and written.get(key) != read[key]:
                yield f"{path}: {key} {written.get(key)}, not {read[key]}"
        yield from _compare_bounds(written, read, path)

    def _compare_objects(self, written: Schema, read: Schema, path: str) -> Iterator[str]:
        fields, known = written.get("properties", {}), read.get("properties", {})
        for name in sorted(set(read.get("required", ())) - set(written.get("required", ()))):
            yield f"{path}.{name}: may be absent"
        for name, field in fields.items():
            if name in known:
                yield from self.compare(field, known[name], f"{path}.{name}")
            elif not self._tolerant and read.get("additionalProperties") is False:
                yield f"{path}.{name}: is not known"
        if isinstance(entries := read.get("additionalProperties"), dict):
            yield from self.compare(written["additionalProperties"], entries, f"{path}.*")
        if "propertyNames" in read:
            names = {"type": "string", **written.get("propertyNames", {})}
            yield from self.compare(names, {"type": "string", **read["propertyNames"]}, path)

    def _compare_arrays(self, written: Schema, read: Schema, path: str) -> Iterator[str]:
        places, known = written.get("prefixItems", []), read.get("prefixItems", [])
        for place, (one, other) in enumerate(zip(places, known, strict=False)):
            yield from self.compare(one, other, f"{path}[{place}]")
        if "items" in read:
            yield from self.compare(written["items"], read["items"], f"{path}[]")


def _resolve(schema: Schema, defs: Schema) -> Schema:
    while "$ref" in schema:
        schema = defs[schema["$ref"].rpartition("/")[2]]
    return schema


def _choices(schema: Schema, defs: Schema) -> list[Schema]:
    """What it may be, one level: choices of choices are choices."""
    schema = _resolve(schema, defs)
    below = schema.get("oneOf") or schema.get("anyOf")
    if below is None:
        return [schema]
    return [choice for part in below for choice in _choices(part, defs)]


def _name(schema: Schema) -> str:
    """What tells a choice apart from its siblings: its kind and event, or its type."""
    fields = schema.get("properties", {})
    said = [fields[name]["const"] for name in TELLS_APART if "const" in fields.get(name, {})]
    return "/".join(said) or str(schema.get("type"))


def _is_message(schema: Schema) -> bool:
    return "const" in schema.get("properties", {}).get("kind", {})


def _is_open(path: str) -> bool:
    return not path.endswith(CLOSED)


def _values(schema: Schema) -> set[str] | None:
    """The strings that are allowed, if not any."""
    if "const" in schema:
        return {schema["const"]}
    return set(schema["enum"]) if "enum" in schema else None


def _compare_bounds(written: Schema, read: Schema, path: str) -> Iterator[str]:
    """What is written lies within what is read."""
    for key in ("minimum", "exclusiveMinimum", "minLength", "minItems"):
        if key in read and written.get(key, float("-inf")) < read[key]:
            yield f"{path}: {key} {written.get(key)}, not {read[key]}"
    for key in ("maximum", "maxItems"):
        if key in read and written.get(key, float("inf")) > read[key]:
            yield f"{path}: {key} {written.get(key)}, not {read[key]}"
