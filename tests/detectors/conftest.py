"""Reference numbers of the original implementation and the rule that fills models with them."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent / "yolo_nas"

Oracle = dict[str, Any]


@pytest.fixture(scope="session")
def rule() -> ModuleType:
    """The fill rule: numbers from names, without torch."""
    spec = importlib.util.spec_from_file_location("fill_rule", HERE / "fill_rule.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def oracle(request: pytest.FixtureRequest) -> Callable[[str], Oracle]:
    """Arrays of one reference file: from beside the tests, else from the shared folder."""

    def load(name: str) -> Oracle:
        path = HERE / "parity" / f"{name}.npz"
        if not path.is_file():
            path = request.getfixturevalue("shared_dir") / "yolo_nas" / "parity" / f"{name}.npz"
        with np.load(path) as arrays:
            return dict(arrays)

    return load
