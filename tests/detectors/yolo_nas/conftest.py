"""Models filled by the rule."""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from detectors.yolo_nas.model import YoloNASModule, build  # noqa: E402


@pytest.fixture(scope="session")
def filled(rule: ModuleType) -> Callable[[str, int], YoloNASModule]:
    """Builds a model with every entry of its state dict filled from the entry's name."""

    def make(variant: str, num_classes: int) -> YoloNASModule:
        model = build(variant, num_classes)
        state = {
            key: torch.from_numpy(np.array(rule.fill_value(key, value.shape)))
            for key, value in model.state_dict().items()
        }
        model.load_state_dict(state)
        return model.eval()

    return make
