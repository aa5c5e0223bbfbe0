"""The videos: synthetic streets as H.264, lively and quiet, and recordings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.core.arrays import F64
from stages.sources.street import StreetScene, Truth
from stages.sources.street.encode import write_video
from stages.sources.street.mood import Light, Weather
from stages.sources.street.views import View

QUIET: Final = 0.02
"""Density of a quiet street: somebody comes now and then. 1 is a lively one."""
FPS: Final = 12.5
SIZE: Final = (960, 540)
CRF: Final = 26


@dataclass(frozen=True, slots=True)
class Street:
    """One synthetic street; `noise` of the sensor and the codec are in its pictures."""

    name: str
    view: View
    light: Light = "day"
    weather: Weather = "clear"
    density: float = QUIET
    seed: int = 12


STREETS: Final = (
    Street("lively day", "street", density=1.0, seed=11),
    Street("quiet day", "street", density=0.01),
    Street("quiet night", "street", "night", density=0.01, seed=11),
    Street("quiet dusk", "pavement", "dusk"),
    Street("quiet rain", "pavement", weather="rain"),
    Street("quiet snow", "street", weather="snow", density=0.01),
    Street("quiet corridor", "corridor"),
    Street("quiet from above, dusk", "overhead", "dusk", density=0.01, seed=11),
)
RECORDINGS: Final = (
    "one-by-one-person-detection.mp4",
    "car-detection.mp4",
    "bottle-detection.mp4",
    "jamcam/04254_11_1489060636292.mp4",
    "jamcam/09747_08_1489049834427.mp4",
    "jamcam/09801_21_1489095743495.mp4",
)


@dataclass(frozen=True, slots=True)
class Object:
    """One object in one frame: who it is, and its box (4,) in px."""

    ident: int
    box: F64


@dataclass(frozen=True, slots=True)
class Video:
    """A file, and what is truly in each of its frames; None: not known."""

    name: str
    path: Path
    truth: list[list[Object]] | None
    line: tuple[tuple[float, float], tuple[float, float]] | None = None


def render(street: Street, seconds: float, folder: Path, size: tuple[int, int] = SIZE) -> Video:
    """The street as a file in `folder`, one key frame a second; one that is there is used again."""
    width, height = size
    scene = StreetScene(
        street.seed, width, height, FPS, round(seconds * FPS), street.view, street.light,
        street.weather, street.density,
    )  # fmt: skip
    path = folder / f"{street.name.replace(' ', '_').replace(',', '')}.mp4"
    truths = list(scene.truths()) if path.is_file() else write_video(scene, path, crf=CRF)
    return Video(street.name, path, [_objects(truth) for truth in truths], scene.default_line)


def _objects(truth: Truth) -> list[Object]:
    rows = zip(truth.track_id.tolist(), truth.xyxy, truth.ignore.tolist(), strict=True)
    return [Object(ident, box) for ident, box, ignored in rows if not ignored]
