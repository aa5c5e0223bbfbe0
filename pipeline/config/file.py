"""Reading a configuration: YAML in, `PipelineConfig` out, every error with the path of its key.

`${NAME}` in a value is replaced by the environment variable of that name, for secrets; `$${` is a
plain `${`.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, get_args

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
        config = parse_config(data, os.environ, values_of(overrides))
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


def parse_config(
    data: Mapping[str, Any],
    env: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
) -> PipelineConfig:
    """Check plain data, as from YAML -> the configuration. `${NAME}` is filled from `env`, and left
    as it is without one. Raises `ConfigError`, which shows neither these values nor those of
    `secrets`, but their names."""
    used = dict(secrets or {})
    filled = dict(data) if env is None else _fill(data, "", env, used)
    try:
        return PipelineConfig.model_validate(filled)
    except ValidationError as error:
        found = error.errors(include_url=False)
        # A list with a wrong item is also called too short: the item's own error says more.
        first, *others = [e for e in found if e["type"] != "too_short"] or found
        path = _key_path(first["loc"], filled)
        more = len(others)
        why = _explain(dict(first), partial(_unfill, used=used))
        raise ConfigError(path, why + (f" (and {more} more)" if more else "")) from None


_MOST_VALUES: Final = 1_000_000
"""What a file may come to once its aliases are followed: a short one may come to billions."""


class _Loader(yaml.SafeLoader):
    """A `SafeLoader` that refuses a key given twice and aliases that multiply, and says where a
    wrong value is."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._sizes: dict[yaml.Node, int] = {}

    def get_single_node(self) -> yaml.Node | None:
        node: yaml.Node | None = super().get_single_node()
        if node is not None:
            self._measure(node)
        return node

    def _measure(self, node: yaml.Node) -> int:
        """How many values the node is, aliases followed: each is measured once."""
        if isinstance(node, yaml.ScalarNode):
            return 1
        if node not in self._sizes:
            self._sizes[node] = 1  # an alias inside its own anchor ends here, and is refused later
            pairs = isinstance(node, yaml.MappingNode)
            inner = [each for pair in node.value for each in pair] if pairs else node.value
            self._sizes[node] = 1 + sum(map(self._measure, inner))
        if self._sizes[node] > _MOST_VALUES:
            raise yaml.constructor.ConstructorError(
                None, None, f"aliases make more than {_MOST_VALUES} values of it", node.start_mark
            )
        return self._sizes[node]

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
                    None, None, f"the key {_bare(key.value)} is there twice", key.start_mark
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


def _fill(value: Any, path: str, env: Mapping[str, str], used: dict[str, str]) -> Any:
    """Replace `${NAME}` in all strings by environment variables, and note those in `used`."""
    if isinstance(value, Mapping):
        return {k: _fill(v, f"{path}.{k}" if path else str(k), env, used) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_fill(v, f"{path}[{i}]", env, used) for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value

    def look_up(match: re.Match[str]) -> str:
        name = match.group(1)
        if name is None:
            return "${"
        if name not in env:
            raise ConfigError(path, f"the environment variable {name} is not set")
        used[f"${{{name}}}"] = env[name]
        return env[name]

    return _VARIABLE.sub(look_up, value)


_SHORTEST_SECRET: Final = 4


def _unfill(text: str, used: Mapping[str, str]) -> str:
    """The text with the name of a variable or an option in place of its value, for it may be a
    secret."""
    for name, value in sorted(used.items(), key=lambda item: -len(item[1])):
        if len(value) >= _SHORTEST_SECRET:
            text = text.replace(repr(value)[1:-1], name).replace(value, name)
    return text


def values_of(overrides: Sequence[str]) -> dict[str, str]:
    """The values of `--set` options, by what stands for them in an error."""
    parts = (override.partition("=") for override in overrides)
    return {f"<--set {path}>": text for path, _, text in parts}


def _bare(key: object) -> str:
    """The key; of `password:secret`, which YAML takes for a key where the blank is missing, only
    what is before the colon."""
    return str(key).split(":")[0]


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
            path += f".{_bare(step)}" if path else _bare(step)
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


def _explain(error: dict[str, Any], hide: Callable[[str], str]) -> str:
    """The message of a pydantic error in plain words; `hide` takes secrets out of a text."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden" and ":" in str(error["loc"][-1]):
        return "unknown key; a blank is missing after its colon"
    if kind == "extra_forbidden":
        return f"unknown key; allowed here: {', '.join(_allowed_keys(error['loc'][:-1]))}"
    if kind == "missing":
        return "missing"
    if kind == "union_tag_invalid":
        tag = "the address" if "://" in context["tag"] else hide(repr(context["tag"]))
        return f"kind {tag} is not one of {context['expected_tags']}"
    if kind == "union_tag_not_found":
        return "needs a key 'kind'"
    if kind == "value_error":
        return hide(str(context["error"]))
    shown = error["input"]
    hidden = (
        isinstance(shown, dict | list | bytes)
        or "://" in str(shown)
        or any(w in str(error["loc"]) for w in ("password", "url", "user", "secret", "headers"))
    )
    message = str(error["msg"]).replace("tuple", "list").replace(" for <class 'pathlib.Path'>", "")
    return message if hidden else f"{message}, not {hide(repr(shown)):.80}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
