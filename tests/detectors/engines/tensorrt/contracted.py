"""The names of TensorRT's Python interface in each version, and classes that have no others.

`contract.json` was taken from the real bindings by `dump_bindings.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONTRACT: dict[str, Any] = json.loads(Path(__file__).with_name("contract.json").read_text())
VERSIONS: list[str] = CONTRACT["versions"]
START = b"fake plan:"
"""How the fake's plans begin."""


@dataclass
class World:
    """What happens to the fake: `faults` name what fails; the rest is what it was asked."""

    faults: set[str] = field(default_factory=set)
    networks: list[int] = field(default_factory=list)
    """Creation flags of every network."""
    flags: list[str] = field(default_factory=list)
    """Builder flags set."""
    executed: list[int] = field(default_factory=list)
    """Batch sizes run."""
    builds: int = 0
    deserialized: int = 0


def names_of(kind: str, version: str) -> frozenset[str]:
    """The names that a class has in a version."""
    members = CONTRACT["classes"][kind]
    return frozenset(n for n, where in members.items() if where == "all" or version in where)


class Contracted:
    """Has no public attribute but those of its version."""

    _allowed: frozenset[str] = frozenset()
    _version = ""
    _world: World
    _trt: Any

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name not in type(self)._allowed:
            raise AttributeError(f"{type(self).__name__} of {type(self)._version} has no {name}")
        return object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and name not in type(self)._allowed:
            raise AttributeError(f"{type(self).__name__} of {type(self)._version} has no {name}")
        object.__setattr__(self, name, value)

    def _fails(self, what: str) -> bool:
        return what in self._world.faults
