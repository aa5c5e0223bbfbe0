"""What the files of a data set may say: text, names of classes and paths that can be believed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from reprlib import Repr
from typing import Any

from pipeline.core.errors import ConfigError

ENCODING = "utf-8-sig"  # UTF-8, with or without the mark that Windows puts at its start
LONGEST_NAME = 200

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 160
_SHORT.maxlevel = 2


def shown(value: object) -> str:
    """`repr`, shortened: what a broken file holds may be of any size."""
    return _SHORT.repr(value)


def read_text(file: Path) -> str:
    """The whole file. Raises `ConfigError` when it cannot be read or is not UTF-8."""
    try:
        return file.read_text(ENCODING)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(file), f"cannot be read: {error}") from error


def parsed_json(text: str) -> Any:
    """`json.loads`; nested too deep is a ValueError too."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def class_name(value: object) -> str:
    """The name of a class. Raises ValueError unless it is a short text that prints, or a number."""
    name = str(value) if isinstance(value, str | int | float) else ""
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise ValueError(
            f"the name of a class must be a number, or printable text of 1 to {LONGEST_NAME} "
            f"characters, not {shown(value)}"
        )
    return name


def is_there(path: Path) -> bool:
    """Whether there is such a file or folder: none has a name that the system does not take."""
    try:
        return path.exists()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether there is such a file, whatever its name."""
    return is_there(path) and path.is_file()


def inside(name: str, folder: Path, *others: Path) -> Path:
    """The file `name` of `folder`; a link in there may lead anywhere.

    Raises ValueError when the path leaves the folder, and does not end in one of the others.
    """
    path = folder / name
    whole, *roots = map(_without_dots, (path, folder, *others))
    if not any(whole.is_relative_to(root) for root in roots):
        raise ValueError(f"{shown(name)} is outside {folder}")
    return path


def _without_dots(path: Path) -> Path:
    return Path(os.path.normpath(path.absolute()))
