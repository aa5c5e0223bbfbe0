"""Sections for sinks, where messages and videos go: one for each kind."""

from typing import Annotated

from pydantic import Field

from pipeline.config.sinks.files import (
    JsonLinesSinkConfig,
    ParquetSinkConfig,
    VideoSinkConfig,
)
from pipeline.config.sinks.kafka import KafkaSinkConfig
from pipeline.config.sinks.mqtt import MqttSinkConfig
from pipeline.config.sinks.only import OnlyConfig
from pipeline.config.sinks.redis import RedisSinkConfig
from pipeline.config.sinks.section import (
    OwnSpoolConfig,
    SinkSection,
    SpoolConfig,
    SpooledSection,
)
from pipeline.config.sinks.tracks import HeatmapSinkConfig, TrajectoriesSinkConfig
from pipeline.config.sinks.webhook import WebhookSinkConfig

SinkConfig = Annotated[
    JsonLinesSinkConfig
    | KafkaSinkConfig
    | RedisSinkConfig
    | MqttSinkConfig
    | VideoSinkConfig
    | ParquetSinkConfig
    | WebhookSinkConfig
    | HeatmapSinkConfig
    | TrajectoriesSinkConfig,
    Field(discriminator="kind"),
]

__all__ = [
    "HeatmapSinkConfig",
    "JsonLinesSinkConfig",
    "KafkaSinkConfig",
    "MqttSinkConfig",
    "OnlyConfig",
    "OwnSpoolConfig",
    "ParquetSinkConfig",
    "RedisSinkConfig",
    "SinkConfig",
    "SinkSection",
    "SpoolConfig",
    "SpooledSection",
    "TrajectoriesSinkConfig",
    "VideoSinkConfig",
    "WebhookSinkConfig",
]
