"""What may be asked of an engine, whichever it is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from detectors.base import Precision
from pipeline.core.errors import EngineLoadError
from pipeline.core.log import one_line

EngineChoice = Literal["auto", "onnxruntime", "openvino", "tensorrt"]
Hint = Literal["latency", "throughput"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How a model file is opened; see `detectors.engines.open.open_engine`.

    - `engine`: which runtime; `auto` is what `detectors.engines.open.choose` says.
    - `precision`: what the convolutions must run in; None: what the file is made for.
    - `threads`: of a CPU engine; 0: all cores that this process may use.
    - `max_batch`: the largest batch that will be run. Engines that are built for it (TensorRT)
      refuse larger ones, the others take any.
    - `hint`: `latency`: a batch is over soonest; `throughput`: most pictures a second, where the
      engine knows a difference.
    - `cache`: folder for what an engine compiles, so that the next start is faster; None: OpenVINO
      keeps nothing, TensorRT its own place in the user's cache.
    - `integer_input`: an engine that can takes a quantized network's input as integers, and tells
      so by `TensorSpec.grid`; the others take floats as ever.
    - `size`: height and width of pictures, in multiples of 32, to which the network is brought;
      None: the file's own. Where `can_be_sized` says so.

    Raises ValueError for numbers out of range and for names that are none of these.
    """

    engine: EngineChoice = "auto"
    precision: Precision | None = None
    threads: int = 0
    max_batch: int = 16
    hint: Hint = "latency"
    cache: Path | None = None
    integer_input: bool = False
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for key, names in (("engine", EngineChoice), ("precision", Precision), ("hint", Hint)):
            asked, known = getattr(self, key), get_args(names)
            if asked not in known and not (key == "precision" and asked is None):
                raise ValueError(f"{key} must be one of {', '.join(known)}, got {asked!r}")
        if self.threads < 0:
            raise ValueError(f"threads must be 0 or more, got {self.threads}")
        if self.max_batch < 1:
            raise ValueError(f"max_batch must be 1 or more, got {self.max_batch}")


def wrong_precision(path: Path, own: Precision, asked: Precision, engine: str) -> EngineLoadError:
    """The error for a file of precision `own` that `engine` cannot run in what was asked for."""
    if asked == "int8":
        way = "make an INT8 file of it with eyrie model quantize"
    elif own == "int8":
        way = f"give its {asked} file, or leave precision out"
    else:
        way = f"{asked} needs another engine or device; leave precision out to run {own}"
    return EngineLoadError(
        f"model {path.name}: {engine} runs this file in {own}, not in {asked} as precision asks: "
        f"{way}"
    )


def not_as_said(path: Path, runs: Precision, said: str, engine: str) -> EngineLoadError:
    """The error for a file that runs in something else than its metadata says."""
    return EngineLoadError(
        f"model {path.name}: {engine} runs this file in {runs}, but its metadata says "
        f"{said[:20]!r}: make it anew with eyrie model export or eyrie model quantize, or choose "
        "another engine"
    )


def damaged_graph(path: Path, error: Exception) -> EngineLoadError:
    """The error for a quantized file whose graph cannot be followed, such as one with constants cut
    off, or operators without inputs."""
    what = one_line(f"{type(error).__name__}: {error}")[:200]
    return EngineLoadError(
        f"model {path}: its graph is damaged, or not one that eyrie model quantize makes ({what}); "
        "make it anew"
    )
