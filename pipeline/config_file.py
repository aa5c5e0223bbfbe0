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
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError("", f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError("", f"{path} is not YAML: {_one_line(error)}") from error
    if not isinstance(data, dict):
        raise ConfigError("", f"{path} must hold keys such as streams and sinks, not {data!r:.40}")
    for override in overrides:
        _apply(data, override)
    config = parse_config(data, os.environ)
    if not config.sinks:
        raise ConfigError("sinks", "missing: nobody would read what is detected")
    return config


def parse_config(data: Mapping[str, Any], env: Mapping[str, str] | None = None) -> PipelineConfig:
    """Plain data, as from YAML, to a checked configuration. `${NAME}` is filled from `env`, and
    left as it is without one. Raises `ConfigError`."""
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
    if not equals or not path:
        raise ConfigError("--set", f"{override!r} is not of the form key.path=value")
    *parents, last = path.split(".")
    node: Any = data
    for step in parents:
        node = node.setdefault(step, {}) if isinstance(node, dict) else _item(node, step, path)
    value = _value(text, override)
    if isinstance(node, dict):
        node[last] = value
    else:
        _item(node, last, path)
        node[int(last)] = value


def _value(text: str, override: str) -> Any:
    """A value as YAML would read it; a lone `-` is standard output, not an empty list."""
    try:
        return text if text == "-" else yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError("--set", f"{override!r}: {_one_line(error)}") from error


def _item(node: Any, step: str, path: str) -> Any:
    if not isinstance(node, list) or not step.isdigit() or int(step) >= len(node):
        raise ConfigError("--set", f"{path} does not exist: there is no {step!r} at that place")
    return node[int(step)]


def _key_path(loc: tuple[int | str, ...], data: Any) -> str:
    """`("sinks", 0, "kafka", "topic")` -> `sinks[0].topic`: tags of unions are no keys."""
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
    """Pydantic's words, made plain."""
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
        w in str(error["loc"]) for w in ("password", "url")
    )
    message = str(error["msg"])
    return message if hidden else f"{message}, not {shown!r:.80}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
