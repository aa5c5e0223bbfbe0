"""Eyrie's machinery: what runs sources, the detector, trackers and sinks together.

Public names, imported on first use so that `pipeline.core` stays light:

- `Pipeline`: `async with Pipeline(config) as pipeline: report = await pipeline.wait()`
- `PipelineConfig`, `load_config`: the configuration and how to read it from YAML
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.config import PipelineConfig as PipelineConfig
    from pipeline.config.file import load_config as load_config
    from pipeline.run.runner import Pipeline as Pipeline

try:
    __version__ = version("eyrie")
except PackageNotFoundError:  # a checkout on PYTHONPATH without an installation
    __version__ = "0.0.0+uninstalled"

_HOME = {
    "Pipeline": "pipeline.run.runner",
    "PipelineConfig": "pipeline.config",
    "load_config": "pipeline.config.file",
}
__all__ = ["Pipeline", "PipelineConfig", "__version__", "load_config"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'pipeline' has no attribute {name!r}")
