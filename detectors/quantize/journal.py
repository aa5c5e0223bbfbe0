"""What a long search has found so far, in a file, so that it can be interrupted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.core.log import get_logger

log = get_logger(__name__)


class Journal:
    """Results by name: one JSON line each, written when it is found.

    `key`, JSON values, says what they depend on; it is the first line. A file with another key
    is begun anew, told in the log. Lines that a crash cut off are dropped. One process at a time.
    Raises OSError where the file cannot be written.
    """

    def __init__(self, path: Path, key: Mapping[str, Any]) -> None:
        self.path = path
        self._results: dict[str, Any] = {}
        head = json.dumps({"key": dict(key)}, sort_keys=True)
        lines = path.read_text("utf-8", "replace").splitlines() if path.is_file() else []
        if lines and lines[0] == head:
            self._results = _results(lines[1:])
            log.info("%s: goes on from %d results", path, len(self._results))
        elif lines:
            log.warning("%s: is of another search, begun anew", path)
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [head, *(_line(name, value) for name, value in self._results.items())]
        path.write_text("".join(f"{line}\n" for line in kept), "utf-8")

    def __len__(self) -> int:
        return len(self._results)

    def __contains__(self, name: str) -> bool:
        return name in self._results

    def __getitem__(self, name: str) -> Any:
        return self._results[name]

    def put(self, name: str, value: Any) -> None:
        """Keep a result, JSON values, for this search and the next."""
        self._results[name] = value
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(name, value) + "\n")

    def once(self, name: str, find: Callable[[], Any]) -> Any:
        """The result of that name, found now if it is not known."""
        if name not in self._results:
            self.put(name, find())
        return self._results[name]


def _line(name: str, value: Any) -> str:
    return json.dumps([name, value])


def _results(lines: list[str]) -> dict[str, Any]:
    """Up to the first line that is not whole."""
    found: dict[str, Any] = {}
    for line in lines:
        try:
            name, value = json.loads(line)
        except (ValueError, TypeError):
            break
        found[name] = value
    return found
