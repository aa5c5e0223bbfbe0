"""Servers that a file of tests cannot do without."""

import os

import pytest

from tests.services.servers import ServiceMissing, find


def need(*programs: str) -> None:
    """Skip the file that calls this where a program is missing; where CI is "true" it fails."""
    for program in programs:
        try:
            find(program)
        except ServiceMissing as missing:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(str(missing), allow_module_level=True)
