"""YOLO-NAS: the architecture, its checkpoints, fusing, post-processing and prediction.

`build` makes the torch module, `YoloNAS` predicts. Importing this package imports neither torch nor
OpenCV; asking for a name does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detectors.yolo_nas.architecture.model import build
    from detectors.yolo_nas.predict.predictor import YoloNAS

__all__ = ["YoloNAS", "build"]


def __getattr__(name: str) -> Any:
    if name == "build":
        from detectors.yolo_nas.architecture.model import build

        return build
    if name == "YoloNAS":
        from detectors.yolo_nas.predict.predictor import YoloNAS

        return YoloNAS
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
