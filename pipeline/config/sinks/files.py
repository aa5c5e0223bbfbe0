"""Sections for sinks that write files: JSON lines, Parquet, video."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.config.sinks.section import SinkSection
from pipeline.config.values import FilePath, Number, PathTemplate, Seconds, Whole

Megabytes = Annotated[Number, Field(ge=0.001, le=1_000_000)]


class JsonLinesSinkConfig(SinkSection):
    """JSON lines. `path` may hold `{stream_id}`; `-` is standard output. Rotated files are those
    that are appended to."""

    kind: Literal["jsonl"]
    path: PathTemplate
    when_exists: Literal["replace", "append"] = "replace"
    rotate_mb: Megabytes | None = None
    rotate_s: Seconds | None = None
    keep: Annotated[Whole, Field(ge=1, le=1_000_000)] | None = None
    compress: Literal["none", "gzip", "zstd"] = "none"

    @property
    def rotates(self) -> bool:
        """True if files are rotated by size or age."""
        return self.rotate_mb is not None or self.rotate_s is not None

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if self.path == "-" and (self.rotates or self.when_exists == "append"):
            raise ValueError("standard output is neither appended to nor rotated")
        if self.rotates and self.when_exists != "append":
            raise ValueError("rotate_mb and rotate_s need when_exists: append")
        if not self.rotates and (self.keep is not None or self.compress != "none"):
            raise ValueError("keep and compress are for rotated files: set rotate_mb or rotate_s")
        return self


class ParquetSinkConfig(SinkSection):
    """Parquet tables below `folder`, partitioned by stream and hour."""

    kind: Literal["parquet"]
    folder: FilePath
    rotate_rows: Annotated[Whole, Field(ge=1, le=10_000_000)] = 100_000
    rotate_mb: Megabytes = 64.0
    rotate_s: Seconds = 900
    compression: Literal["zstd", "snappy", "none"] = "zstd"


class VideoSinkConfig(SinkSection):
    """Annotated H.264 MP4, one file per stream: `path` holds `{stream_id}`."""

    kind: Literal["video"]
    path: PathTemplate
    queue_messages: Annotated[Whole, Field(ge=1, le=1000)] = 8

    @model_validator(mode="after")
    def _check_no_filter(self) -> Self:
        if self.only is not None:
            raise ValueError("only is for messages, a video has none")
        return self
