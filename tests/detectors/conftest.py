"""Reference numbers of the original implementation and the rule that fills models with them."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent / "yolo_nas"
FLOAT_SIZE = (64, 96)

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


@pytest.fixture(scope="session")
def float_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`yolo_nas_n` of two classes, 64 x 96 px, untrained, with the batch statistics of noise, as an
    FP32 ONNX file."""
    torch = pytest.importorskip("torch", reason="needs the train extra")
    pytest.importorskip("onnx", reason="needs the train extra")
    from detectors.export import export
    from detectors.yolo_nas.architecture.model import build
    from detectors.yolo_nas.checkpoints.checkpoint import read

    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    model = build("yolo_nas_n", 2)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.5
    with torch.no_grad():
        for _ in range(8):
            model(torch.rand(4, 3, *FLOAT_SIZE))
    state = {
        "ema_net": model.state_dict(),
        "variant": "yolo_nas_n",
        "class_names": ["cat", "dog"],
        "input_size": list(FLOAT_SIZE),
        "data": ["somewhere/pictures"],
        "pictures_seen": 12,
        "seed": 3,
    }
    torch.save(state, folder / "checkpoint.pth")
    export(read(folder / "checkpoint.pth"), folder / "model.onnx", training={"command": "none"})
    return folder / "model.onnx"
