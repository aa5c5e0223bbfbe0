"""Fixtures that several folders share."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from benchmarks.machine import DATA

# Machines that are busy make single examples slow; a slow test has the timeout of every test.
settings.register_profile("eyrie", deadline=None)
settings.load_profile("eyrie")


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of data that are no part of the repository. Skips where there is none, and fails
    where CI is "true"."""
    if not DATA.is_dir():
        missing = f"the data are not at {DATA}: set EYRIE_DATA"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return DATA
