"""Where messages and videos go: a section for each kind of sink."""

from typing import Annotated

from pydantic import Field

from pipeline.config.sinks.files import JsonLinesSinkConfig, VideoSinkConfig
from pipeline.config.sinks.kafka import KafkaSinkConfig
from pipeline.config.sinks.redis import RedisSinkConfig
from pipeline.config.sinks.section import SinkSection

SinkConfig = Annotated[
    JsonLinesSinkConfig | KafkaSinkConfig | RedisSinkConfig | VideoSinkConfig,
    Field(discriminator="kind"),
]

__all__ = [
    "JsonLinesSinkConfig",
    "KafkaSinkConfig",
    "RedisSinkConfig",
    "SinkConfig",
    "SinkSection",
    "VideoSinkConfig",
]
