"""The forms of one calibrated network, each with other layers left in float, on an engine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from detectors.base import Engine
from detectors.engines.open import EngineOptions, open_engine
from detectors.quantize.latency import Run, interleaved
from detectors.quantize.post_training import PRECISION_KEY, Calibration, quantized
from detectors.quantize.selection import Layers
from detectors.quantize.validation import Network
from pipeline.core.arrays import F32, F64

OPENINGS = 2


@dataclass(frozen=True, slots=True)
class Forms:
    """Builds, opens and times forms; `options` are those of the engine that the choice is for."""

    calibration: Calibration
    options: EngineOptions

    @property
    def layers(self) -> list[str]:
        """The names of all convolutions, in the order of the graph."""
        return self.calibration.graph.layer_names()

    def model(self, left: Layers) -> onnx.ModelProto:
        """The network with these layers in float; with all of them, the float network."""
        if left.issuperset(self.layers):
            graph = self.calibration.graph
            model = graph.rebuilt(graph.nodes, graph.constants)
            of_form = {PRECISION_KEY: "fp32"}
            onnx.helper.set_model_props(model, {**self.calibration.metadata, **of_form})
            return model
        return quantized(self.calibration, left)

    @contextmanager
    def opened(self, left: Layers, *, portable: bool = False) -> Iterator[Engine]:
        """A form on the engine, or with `portable` on ONNX Runtime, which opens a file soonest.

        Raises `EngineLoadError`.
        """
        options = replace(self.options, engine="onnxruntime") if portable else self.options
        with self._written([left]) as (path,), closing(open_engine(path, options)) as engine:
            yield engine

    def seconds(self, lefts: Sequence[Layers], image: F32, budget_s: float) -> F64:
        """(rounds, forms) seconds for `image` (1, 3, H, W), see `latency.interleaved`.

        The engines are opened `OPENINGS` times, each with a part of the rounds: on a busy machine
        the threads of one may be placed badly for as long as it is open.
        """
        parts = []
        with self._written(lefts) as paths:
            for _ in range(OPENINGS):
                with ExitStack() as stack:
                    opened = (closing(open_engine(path, self.options)) for path in paths)
                    engines = [stack.enter_context(one) for one in opened]
                    runs = [_running(engine, image) for engine in engines]
                    parts.append(interleaved(runs, budget_s / OPENINGS))
        return np.concatenate(parts)

    @contextmanager
    def _written(self, lefts: Sequence[Layers]) -> Iterator[list[Path]]:
        with TemporaryDirectory(prefix="eyrie-quantize-") as folder:
            paths = [Path(folder) / f"form{n}.onnx" for n in range(len(lefts))]
            for path, left in zip(paths, lefts, strict=True):
                onnx.save(self.model(left), path)
            yield paths


def network(engine: Engine) -> Network:
    """The engine as a function from images to boxes and scores."""

    def run(images: F32) -> tuple[F32, F32]:
        boxes, scores = engine.run(images)
        return boxes, scores

    return run


def name_of(left: Layers) -> str:
    """A short name of a set of layers: equal for equal sets."""
    return hashlib.sha256("\n".join(sorted(left)).encode()).hexdigest()[:16]


def _running(engine: Engine, image: F32) -> Run:
    return lambda: engine.run(image)
