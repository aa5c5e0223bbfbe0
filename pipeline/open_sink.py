"""Sections of `sinks` to sinks. A client is imported when a configuration asks for it."""

from pipeline.config import (
    JsonLinesSinkConfig,
    KafkaSinkConfig,
    PipelineConfig,
    RedisSinkConfig,
    SinkConfig,
    VideoSinkConfig,
)
from sinks.base import PictureSink, Sink

AnySink = Sink | PictureSink


def make_sinks(config: PipelineConfig) -> list[tuple[Sink, int]]:
    """All message sinks, each with its place in `config.sinks`."""
    found = ((_make_sink(sink, _name(config, i)), i) for i, sink in enumerate(config.sinks))
    return [(sink, place) for sink, place in found if sink is not None]


def make_picture_sinks(config: PipelineConfig) -> list[tuple[PictureSink, int]]:
    """All picture sinks, each with its place in `config.sinks`."""
    from sinks.video import VideoSink

    return [
        (VideoSink(sink.path, name=_name(config, place)), place)
        for place, sink in enumerate(config.sinks)
        if isinstance(sink, VideoSinkConfig)
    ]


def _name(config: PipelineConfig, place: int) -> str:
    """The name given to a sink, or its kind, numbered from the second of a kind on."""
    sink = config.sinks[place]
    before = sum(other.kind == sink.kind for other in config.sinks[:place])
    return sink.name or (f"{sink.kind}-{before + 1}" if before else sink.kind)


def _make_sink(sink: SinkConfig, name: str) -> Sink | None:
    match sink:
        case JsonLinesSinkConfig():
            from sinks.jsonl import JsonLinesSink

            return JsonLinesSink(sink.path, name=name)
        case KafkaSinkConfig():
            return _make_kafka(sink, name)
        case RedisSinkConfig():
            return _make_redis(sink, name)
        case VideoSinkConfig():
            return None


def _make_kafka(sink: KafkaSinkConfig, name: str) -> Sink:
    from sinks.kafka import KafkaSink

    return KafkaSink(
        sink.bootstrap_servers,
        sink.topic,
        name=name,
        connect_timeout_s=sink.connect_timeout_s,
        username=sink.user,
        password=sink.password.get_secret_value() if sink.password else None,
        sasl_mechanism=sink.sasl_mechanism or "PLAIN",
        tls=sink.tls,
    )


def _make_redis(sink: RedisSinkConfig, name: str) -> Sink:
    from sinks.redis import RedisSink

    return RedisSink(
        sink.url,
        sink.stream,
        sink.mode,
        sink.maxlen,
        password=sink.password.get_secret_value() if sink.password else None,
        name=name,
        connect_timeout_s=sink.connect_timeout_s,
    )
