"""Models filled by the rule, and one that needs no weights."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detectors.letterbox import Letterbox
from detectors.yolo_nas.predict.predictor import YoloNAS
from detectors.yolo_nas.processing import Processing
from tests.detectors.yolo_nas.bright import Bright

if TYPE_CHECKING:
    from detectors.yolo_nas.architecture.model import YoloNASModule


@pytest.fixture(scope="session")
def filled(rule: ModuleType) -> Callable[[str, int], YoloNASModule]:
    """Builds a model with every entry of its state dict filled from the entry's name."""
    torch = pytest.importorskip("torch", reason="needs the train extra")
    from detectors.yolo_nas.architecture.model import build

    def make(variant: str, num_classes: int) -> YoloNASModule:
        model = build(variant, num_classes)
        state = {
            key: torch.from_numpy(np.array(rule.fill_value(key, value.shape)))
            for key, value in model.state_dict().items()
        }
        model.load_state_dict(state)
        return model.eval()

    return make


@pytest.fixture
def network() -> Bright:
    return Bright()


@pytest.fixture
def model(network: Bright) -> YoloNAS:
    return YoloNAS(network, Processing(("lamp",), Letterbox(64, 64, pad_value=0)))
