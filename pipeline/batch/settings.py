"""What decides the messages of a batch, and the parts that keep all else out of them."""

import hashlib
import importlib.metadata
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pipeline
from detectors.base import Detector
from detectors.engines.device import cpu_name
from pipeline.config import FileSourceConfig, PipelineConfig
from pipeline.config.file import parse_config, read_keys, values_of
from pipeline.core.detections import Detections
from pipeline.core.errors import ConfigError
from pipeline.core.messages import SCHEMA
from pipeline.core.picture import AnyPicture

INSTANCE: Final = "batch"
"""`producer.instance` of every message of a batch."""
_OF_STREAM: Final = ("fps", "max_frames", "lines", "zones", "masks")
_OF_RUN: Final = ("model", "tracking", "batch")
_LIBRARIES: Final = (
    "av", "lap", "numpy", "onnxruntime", "opencv-python-headless", "openvino", "tensorrt",
)  # fmt: skip
_VERSIONS: Final = {"eyrie", "model.threads", *_LIBRARIES}
_NO_PART: Final = {"name", "engine", "precision", "max_batch", "cache"}
"""Keys of `model` that decide nothing: the first three are told by what they came to."""


@dataclass(frozen=True, slots=True)
class Identity:
    """All that the bytes of a batch depend on beside the files. `deciding` must be the same when a
    batch is resumed; `machine` had better be: other CPUs may round the last bit otherwise."""

    deciding: dict[str, Any]
    machine: str

    def run_id(self, content: str) -> str:
        """16 hex digits that stand for these settings and a file's `content` hash. Versions are
        left out: the next one of Eyrie gives the same ids, so that its results replace these."""
        wanted = {k: v for k, v in self.deciding.items() if k not in _VERSIONS}
        said = json.dumps([wanted, content], sort_keys=True)
        return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()

    def differs_in(self, other: "Identity") -> list[str]:
        """What is not the same, as `key: this one's, not the other's`."""
        return [
            f"{key}: {self.deciding.get(key)!r:.100}, not {other.deciding.get(key)!r:.100}"
            for key in sorted({*self.deciding, *other.deciding})
            if self.deciding.get(key) != other.deciding.get(key)
        ]


@dataclass(frozen=True, slots=True)
class Settings:
    """How every file of a batch is analysed: a configuration with one stream that stands for each
    file. Made by `load`; goes to the workers."""

    template: PipelineConfig

    def config_for(self, path: Path, stream_id: str, run_id: str) -> PipelineConfig:
        """The configuration of one file. One decoder thread: with more, FFmpeg does not conceal
        damage the same way twice."""
        source = FileSourceConfig(kind="file", path=path, decoder_threads=1)
        stream = self.template.streams[0].model_copy(update={"id": stream_id, "source": source})
        return self.template.model_copy(update={"streams": (stream,), "run_id": run_id})

    def identity(self, detector: Detector) -> Identity:
        """What these settings come to with that detector, on this machine."""
        stream = self.template.streams[0].model_dump(mode="json", include=set(_OF_STREAM))
        model = self.template.model.model_dump(mode="json", exclude=_NO_PART)
        deciding = {
            "eyrie": pipeline.__version__,
            "schema": SCHEMA,
            "model": f"{detector.name} {detector.sha256[:16]}",
            "engine": f"{detector.engine_name} {detector.precision}",
            **{f"model.{key}": value for key, value in model.items()},
            "tracking": self.template.tracking.model_dump(mode="json"),
            **stream,
            **{name: version for name in _LIBRARIES if (version := _version(name))},
        }
        # through JSON, as it comes back from the manifest: tuples are lists there
        return Identity(json.loads(json.dumps(deciding)), cpu_name())


def load(path: Path | None, overrides: Sequence[str], options: dict[str, Any]) -> Settings:
    """The settings from a YAML file with the keys `model`, `tracking`, `batch`, `fps`,
    `max_frames`, `lines`, `zones` and `masks`, then `--set`, then `options` by dotted key (None:
    not given).

    `model.threads` is 1 where nothing is said: how a sum is split among threads may decide its last
    bit, so the number of threads is a part of the settings, and must not follow that of workers.
    Raises `ConfigError`.
    """
    data = read_keys(path, overrides)
    for key in data:
        if key not in (*_OF_STREAM, *_OF_RUN):
            allowed = ", ".join((*_OF_RUN, *_OF_STREAM))
            raise ConfigError(str(key), f"not a key of a batch, which takes {allowed}")
    for key, value in options.items():
        if value is not None:
            _put(data, key.split("."), value)
    stream: dict[str, Any] = {key: data.pop(key) for key in _OF_STREAM if key in data}
    # any path will do: it stands for each file in turn
    stream |= {"id": "video", "source": {"kind": "file", "path": "video"}}
    try:
        template = parse_config({**data, "streams": [stream]}, os.environ, values_of(overrides))
    except ConfigError as error:
        key = error.path.removeprefix("streams[0].")
        raise ConfigError(key, str(error).removeprefix(f"{error.path}: ")) from None
    model = template.model
    model = model.model_copy(update={"threads": model.threads or 1})
    return Settings(template.model_copy(update={"model": model}))


def _put(data: dict[str, Any], keys: list[str], value: object) -> None:
    *sections, last = keys
    for section in sections:
        data = data.setdefault(section, {})
        if not isinstance(data, dict):
            raise ConfigError(section, "must hold keys")
    data[last] = value


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


class FileClock:
    """A `Clock` whose wall stands still at the file's modification time, so that no message tells
    when it was made. Durations are real."""

    def __init__(self, mtime_ns: int) -> None:
        self._mtime_ns = mtime_ns

    def monotonic_s(self) -> float:
        return time.monotonic()

    def utc_ns(self) -> int:
        return self._mtime_ns


class FrameByFrame:
    """A `Detector` that gives its inner one each picture alone, whatever it is given at once.

    No runtime promises that a picture's numbers do not depend on its neighbours in a batch, so the
    engine always sees a batch of one. The inner detector stays its owner's to close.
    """

    def __init__(self, inner: Detector) -> None:
        self._inner = inner
        self.labels = inner.labels
        self.name, self.sha256 = inner.name, inner.sha256
        self.precision, self.engine_name = inner.precision, inner.engine_name
        self.device, self.concurrency = inner.device, inner.concurrency
        self.letterbox = inner.letterbox

    def detect(self, pictures: Sequence[AnyPicture]) -> list[Detections]:
        """See `detectors.base.Detector.detect`."""
        return [found for picture in pictures for found in self._inner.detect([picture])]

    def close(self) -> None:
        """See `detectors.base.Detector.close`. Does nothing."""
