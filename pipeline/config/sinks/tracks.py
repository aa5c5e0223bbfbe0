"""Sections for sinks that add messages up into files: heat maps and trajectories."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.config.sinks.section import SinkSection
from pipeline.config.values import FilePath, Number, PathTemplate, Seconds, Whole

_EVERY_S = 60.0


class HeatmapSinkConfig(SinkSection):
    """A heat map as PNG: how long tracks were in each cell. `path` may hold `{stream_id}`. `cell`
    is its width, in pixels of the picture or metres of the plane; None: 16 and 0.5. `raw`: the
    numbers in a file beside it."""

    kind: Literal["heatmap"]
    path: PathTemplate
    coordinates: Literal["picture", "plane"] = "picture"
    cell: Annotated[Number, Field(ge=0.01, le=1000)] | None = None
    raw: Literal["none", "csv", "npy"] = "none"
    background: FilePath | None = None
    every_s: Seconds = _EVERY_S

    @property
    def cell_size(self) -> float:
        """The width of a cell, in pixels of the picture or metres of the plane."""
        usual = 16.0 if self.coordinates == "picture" else 0.5
        return self.cell or usual

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if not self.path.endswith(".png"):
            raise ValueError("path must end with .png")
        if self.coordinates == "picture" and self.cell is not None and self.cell < 2:
            raise ValueError("cell is in pixels, 2 at least; metres need coordinates: plane")
        if self.background is not None and self.coordinates != "picture":
            raise ValueError("background is for coordinates: picture")
        return self


class TrajectoriesSinkConfig(SinkSection):
    """The trajectories of tracks, as GeoJSON: `path` may hold `{stream_id}`."""

    kind: Literal["trajectories"]
    path: PathTemplate
    coordinates: Literal["picture", "plane", "wgs84"] = "plane"
    sample_s: Annotated[Number, Field(ge=0, le=60)] = 0.5
    tracks_per_file: Annotated[Whole, Field(ge=1, le=100_000)] = 1000
    every_s: Seconds = _EVERY_S

    @model_validator(mode="after")
    def _check_suffix(self) -> Self:
        if not self.path.endswith((".geojson", ".json")):
            raise ValueError("path must end with .geojson or .json")
        return self
