"""Types of values that several sections have, with their checks."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
)

from sinks.paths import check_template

LONGEST_ID = 128
Identifier = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=LONGEST_ID),
]


def _no_boolean(value: object) -> object:
    """The value; no boolean, for YAML reads `yes` and `on` as true, which would pass for 1."""
    if isinstance(value, bool):
        raise ValueError(f"must be a number, not {str(value).lower()}")
    return value


Whole = Annotated[int, BeforeValidator(_no_boolean)]
Number = Annotated[float, BeforeValidator(_no_boolean)]
Seconds = Annotated[Number, Field(gt=0, le=86_400)]
Fps = Annotated[Number, Field(gt=0, le=1000)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
Finite = Annotated[Number, Field(allow_inf_nan=False)]
Coordinate = Annotated[Finite, Field(ge=-1e9, le=1e9)]
"""A coordinate in a picture or on a plane, within what can be squared and summed without loss."""
Point = tuple[Coordinate, Coordinate]
Reconnect = Literal["always", "once_up", "never"]


def plain(secret: SecretStr | None) -> str | None:
    """The secret itself, for the client that sends it."""
    return secret.get_secret_value() if secret else None


def with_port(url: str) -> str:
    """The address, if its port is a number or missing. Raises `ValueError` else."""
    try:
        _ = urlsplit(url).port
    except ValueError:
        why = "the address needs a valid host, and a port that is a number up to 65535"
        raise ValueError(why) from None
    return url


def no_address(path: object) -> object:
    """The path, if a file can be called so. Raises `ValueError` else, without the path: an address
    may hold a password."""
    text = str(path)
    if not text:
        raise ValueError("is empty")
    if "://" in text:
        raise ValueError(
            "is an address where a path belongs; cameras have the kind rtsp, brokers kafka or redis"
        )
    if "\0" in text:
        raise ValueError("no path has a NUL character")
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise ValueError("has half of a character, which no path can have") from None
    return path


def _known_placeholders(path: str) -> str:
    check_template(path)
    return path


FilePath = Annotated[Path, BeforeValidator(no_address)]
PathTemplate = Annotated[
    str,
    StringConstraints(min_length=1),
    AfterValidator(no_address),
    AfterValidator(_known_placeholders),
]


class Section(BaseModel):
    """A mapping of the YAML file as a frozen model: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


def require_distinct(names: Sequence[str], what: str) -> None:
    """Raise `ValueError` for a name that is there twice."""
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{what} must differ, but {name!r} is there {names.count(name)} times")
