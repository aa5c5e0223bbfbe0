"""The configuration as types. `configs/README.md` explains every key to its user;
`pipeline.config_file` reads it from YAML."""

from pipeline.config.run import BatchConfig, ModelConfig, PipelineConfig, TrackingConfig
from pipeline.config.sinks import (
    JsonLinesSinkConfig,
    KafkaSinkConfig,
    RedisSinkConfig,
    SinkConfig,
    SinkSection,
    VideoSinkConfig,
)
from pipeline.config.sources import (
    FileSourceConfig,
    FolderSourceConfig,
    HttpSourceConfig,
    ImagesSourceConfig,
    ReconnectedConfig,
    RtspSourceConfig,
    SourceConfig,
    StartTimeConfig,
    StdinSourceConfig,
    StreetSourceConfig,
    TlsConfig,
    WatchSourceConfig,
    WebcamSourceConfig,
)
from pipeline.config.streams import ChaosConfig, HealthConfig, LineConfig, StreamConfig
from pipeline.config.values import LONGEST_ID, Identifier

__all__ = [
    "LONGEST_ID",
    "BatchConfig",
    "ChaosConfig",
    "FileSourceConfig",
    "FolderSourceConfig",
    "HealthConfig",
    "HttpSourceConfig",
    "Identifier",
    "ImagesSourceConfig",
    "JsonLinesSinkConfig",
    "KafkaSinkConfig",
    "LineConfig",
    "ModelConfig",
    "PipelineConfig",
    "ReconnectedConfig",
    "RedisSinkConfig",
    "RtspSourceConfig",
    "SinkConfig",
    "SinkSection",
    "SourceConfig",
    "StartTimeConfig",
    "StdinSourceConfig",
    "StreamConfig",
    "StreetSourceConfig",
    "TlsConfig",
    "TrackingConfig",
    "VideoSinkConfig",
    "WatchSourceConfig",
    "WebcamSourceConfig",
]
