"""Fixtures that several folders share."""

from pathlib import Path

import pytest
from hypothesis import settings

# Machines that are busy make single examples slow; a slow test has the timeout of every test.
settings.register_profile("eyrie", deadline=None)
settings.load_profile("eyrie")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Reference material beside the checkout: `../shared`. Skips where there is none."""
    if not SHARED.is_dir():
        pytest.skip(f"reference material is not at {SHARED}")
    return SHARED
