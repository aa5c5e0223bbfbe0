"""Reading a configuration: YAML in, `PipelineConfig` out, every error with the path of its key.

`${NAME}` in a value is replaced by the environment variable of that name, for secrets; `$${` is a
plain `${`.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from pipeline.config import PipelineConfig
from pipeline.core.errors import ConfigError


def load_config(path: Path, overrides: Sequence[str] = ()) -> PipelineConfig:
    """Read a YAML file, apply `--set` overrides such as `sinks.0.topic=x`, and check everything.

    Raises `ConfigError` with the path of the key that is wrong and the values it may have.
    """
    data = read_keys(path, overrides)
    try:
        config = parse_config(data, os.environ)
    except RecursionError:  # an alias inside its own anchor
        raise ConfigError("", f"{path} is nested too deeply") from None
    if not config.sinks:
        raise ConfigError("sinks", "missing: nobody would read what is detected")
    return config


def read_keys(path: Path | None, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read the keys of a YAML file, None: no keys, and apply `--set` overrides. Nothing is checked
    yet, and `${NAME}` not filled. Raises `ConfigError`."""
    data = {} if path is None else _read_file(path)
    for override in overrides:
        _apply(data, override)
    return data


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError("", f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError("", f"{path} is not text in UTF-8") from None
    data = _read_yaml(text, str(path))
    if not isinstance(data, dict):
        raise ConfigError("", f"{path} must hold keys such as streams and sinks")
    return data


def parse_config(data: Mapping[str, Any], env: Mapping[str, str] | None = None) -> PipelineConfig:
    """Check plain data, as from YAML -> the configuration. `${NAME}` is filled from `env`, and left
    as it is without one. Raises `ConfigError`."""
    filled = dict(data) if env is None else _fill(data, "", env)
    try:
        return PipelineConfig.model_validate(filled)
    except ValidationError as error:
        found = error.errors(include_url=False)
        # A list with a wrong item is also called too short: the item's own error says more.
        first, *others = [e for e in found if e["type"] != "too_short"] or found
        path = _key_path(first["loc"], filled)
        more = len(others)
        raise ConfigError(
            path, _explain(dict(first)) + (f" (and {more} more)" if more else "")
        ) from None


class _Loader(yaml.SafeLoader):
    """A `SafeLoader` that refuses a key given twice, and says where a wrong value is."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            raise yaml.constructor.ConstructorError(
                None, None, "no such date or number; put text in quotes", node.start_mark
            ) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value} is there twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


_QUOTED = re.compile(r"""(alias|anchor|handle|tag) ['"].*['"]""")


def _read_yaml(text: str, where: str) -> Any:
    """Read YAML. Raises `ConfigError` with the problem and its place, but none of the text: a line
    that cannot be read may hold a password."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = _QUOTED.sub(r"\1", error.problem or "cannot be read")
        raise ConfigError("", f"{where} is not YAML: {problem}{place}") from None
    except yaml.YAMLError as error:
        raise ConfigError("", f"{where} is not YAML: {_one_line(error)}") from None
    except RecursionError:
        raise ConfigError("", f"{where} is nested too deeply") from None


_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _fill(value: Any, path: str, env: Mapping[str, str]) -> Any:
    """Replace `${NAME}` in all strings by environment variables."""
    if isinstance(value, Mapping):
        return {k: _fill(v, f"{path}.{k}" if path else str(k), env) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_fill(v, f"{path}[{i}]", env) for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value

    def look_up(match: re.Match[str]) -> str:
        name = match.group(1)
        if name is None:
            return "${"
        if name not in env:
            raise ConfigError(path, f"the environment variable {name} is not set")
        return env[name]

    return _VARIABLE.sub(look_up, value)


def _apply(data: dict[str, Any], override: str) -> None:
    """Set one key by its dotted path: `batch.size=8`, `sinks.0.topic=x`."""
    path, equals, text = override.partition("=")
    *parents, last = steps = path.split(".")
    if not equals or not all(steps):
        raise ConfigError("--set", "must be of the form KEY.PATH=VALUE, such as batch.size=8")
    node: Any = data
    for step in parents:
        node = node.setdefault(step, {}) if isinstance(node, dict) else _item(node, step, path)
    # a lone "-" is standard output, not an empty list
    value = text if text == "-" else _read_yaml(text, f"--set: the value of {path}")
    if isinstance(node, dict):
        node[last] = value
    else:
        _item(node, last, path)
        node[int(last)] = value


def _item(node: Any, step: str, path: str) -> Any:
    place = int(step) if re.fullmatch("[0-9]{1,9}", step) else None
    if not isinstance(node, list) or place is None or place >= len(node):
        raise ConfigError("--set", f"{path} does not exist: there is no {step!r} at that place")
    return node[place]


def _key_path(loc: tuple[int | str, ...], data: Any) -> str:
    """The path of a key: `("sinks", 0, "kafka", "topic")` -> `sinks[0].topic`, without tags of
    unions."""
    path = ""
    node = data
    for step in loc:
        if isinstance(step, int):
            path += f"[{step}]"
            node = node[step] if isinstance(node, list) and step < len(node) else None
        elif isinstance(node, dict) and step not in node and step == node.get("kind"):
            continue
        else:
            path += f".{step}" if path else step
            node = node.get(step) if isinstance(node, dict) else None
    return path


def _allowed_keys(loc: tuple[int | str, ...]) -> list[str]:
    """Keys of the section at an error's location, found by walking the types."""
    sections: list[type[BaseModel]] = [PipelineConfig]
    for step in loc:
        if isinstance(step, str) and len(sections) > 1:
            sections = [s for s in sections if step in get_args(s.model_fields["kind"].annotation)]
        elif isinstance(step, str):
            sections = _sections(sections[0].model_fields[step].annotation)
    return sorted(sections[0].model_fields)


def _sections(annotation: Any) -> list[type[BaseModel]]:
    """All section types inside an annotation such as `tuple[A | B, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for part in get_args(annotation) for section in _sections(part)]


def _explain(error: dict[str, Any]) -> str:
    """The message of a pydantic error in plain words."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key; allowed here: {', '.join(_allowed_keys(error['loc'][:-1]))}"
    if kind == "missing":
        return "missing"
    if kind == "union_tag_invalid":
        return f"kind {context['tag']!r} is not one of {context['expected_tags']}"
    if kind == "union_tag_not_found":
        return "needs a key 'kind'"
    if kind == "value_error":
        return str(context["error"])
    shown = error["input"]
    hidden = isinstance(shown, dict | list) or any(
        w in str(error["loc"]) for w in ("password", "url", "user", "secret", "headers")
    )
    message = str(error["msg"]).replace("tuple", "list").replace(" for <class 'pathlib.Path'>", "")
    return message if hidden else f"{message}, not {shown!r:.80}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
