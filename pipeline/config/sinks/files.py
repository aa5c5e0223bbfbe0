"""Sinks that write files: their disk is their broker."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.sinks.section import SinkSection
from pipeline.config.values import PathTemplate, Whole


class JsonLinesSinkConfig(SinkSection):
    """JSON lines. `path` may hold `{stream_id}`; `-` is standard output."""

    kind: Literal["jsonl"]
    path: PathTemplate


class VideoSinkConfig(SinkSection):
    """Annotated H.264 MP4, one file per stream: `path` holds `{stream_id}`."""

    kind: Literal["video"]
    path: PathTemplate
    queue_messages: Annotated[Whole, Field(ge=1, le=1000)] = 8
