"""Sinks out of the sections of `sinks`. A client is imported when a configuration asks for it."""

import hashlib
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pipeline.config import (
    HeatmapSinkConfig,
    JsonLinesSinkConfig,
    KafkaSinkConfig,
    MqttSinkConfig,
    OnlyConfig,
    ParquetSinkConfig,
    PipelineConfig,
    RedisSinkConfig,
    StreamConfig,
    TrajectoriesSinkConfig,
    VideoSinkConfig,
    WebhookSinkConfig,
)
from pipeline.config.sinks.tls import tls_of
from pipeline.config.values import plain
from pipeline.core.errors import ConfigError, SinkError
from pipeline.core.messages import Kind
from sinks.base import PictureSink, Sink
from sinks.filter import Filter

AnySink = Sink | PictureSink
_MOST_LISTED: Final = 80
_ONLY_EVENTS: Final[frozenset[Kind]] = frozenset({"event"})
_ONLY_TRACK_ENDS: Final[frozenset[Kind]] = frozenset({"track_end"})


def make_sinks(config: PipelineConfig) -> list[tuple[Sink, int]]:
    """Make all message sinks, each with its place in `config.sinks`."""
    found = ((_make_sink(config, i), i) for i in range(len(config.sinks)))
    return [(sink, place) for sink, place in found if sink is not None]


def make_picture_sinks(config: PipelineConfig) -> list[tuple[PictureSink, int]]:
    """Make all picture sinks, each with its place in `config.sinks`."""
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


def _make_sink(config: PipelineConfig, place: int) -> Sink | None:
    sink, name = config.sinks[place], _name(config, place)
    match sink:
        case JsonLinesSinkConfig():
            return _make_jsonl(sink, name)
        case KafkaSinkConfig():
            return _make_kafka(sink, name)
        case RedisSinkConfig():
            return _make_redis(sink, name)
        case MqttSinkConfig():
            return _make_mqtt(sink, name)
        case ParquetSinkConfig():
            return _make_parquet(sink, name)
        case WebhookSinkConfig():
            return _make_webhook(sink, name)
        case HeatmapSinkConfig() | TrajectoriesSinkConfig():
            from pipeline.build.tracks import make_tracks_sink

            return make_tracks_sink(config, sink, name, f"sinks[{place}]")
        case VideoSinkConfig():
            return None


def _make_kafka(sink: KafkaSinkConfig, name: str) -> Sink:
    from sinks.kafka import Access, Creation, Encoding, KafkaSink, Tuning

    made = sink.create
    return KafkaSink(
        sink.bootstrap_servers,
        sink.topic_by_kind,
        name=name,
        connect_timeout_s=sink.connect_timeout_s,
        client=sink.client,
        access=Access(
            sink.user, plain(sink.password), sink.sasl_mechanism or "PLAIN", tls_of(sink.tls)
        ),
        tuning=Tuning(sink.compression, sink.linger_ms, sink.batch_bytes, sink.max_message_bytes),
        create=Creation(made.partitions, made.replication_factor) if made else None,
        encoding=Encoding.avro(name) if sink.format == "avro" else Encoding.json(),
        transactional_id=_transactional_id(name) if sink.transactional else None,
    )


def _transactional_id(name: str) -> str:
    """The transactional id of a sink: the same for each start at this place, so that a start ends
    what the one before left open; another for every other sink."""
    place = hashlib.sha256(str(Path.cwd()).encode()).hexdigest()[:8]
    return f"eyrie-{socket.gethostname()}-{place}-{name}"


def _make_redis(sink: RedisSinkConfig, name: str) -> Sink:
    from sinks.redis.append import Trim
    from sinks.redis.client import Login
    from sinks.redis.sink import RedisSink

    return RedisSink(
        sink.url,
        sink.stream,
        sink.mode,
        Trim(sink.maxlen, sink.max_age_s, sink.trim == "exact"),
        state=sink.state,
        wait_replicas=sink.wait_replicas,
        login=Login(
            sink.user, plain(sink.password), sink.sentinel_user, plain(sink.sentinel_password)
        ),
        tls=tls_of(sink.tls),
        name=name,
        timeout_s=sink.connect_timeout_s,
    )


def _make_mqtt(sink: MqttSinkConfig, name: str) -> Sink:
    try:
        from sinks.mqtt import Access, MqttSink
    except ModuleNotFoundError as error:
        why = "MQTT needs paho-mqtt: pip install 'eyrie[mqtt]'"
        raise SinkError(name, why) from error
    parts = urlsplit(sink.url)
    secure = parts.scheme == "mqtts"
    client_id = sink.client_id or f"eyrie-{socket.gethostname()}-{name}"
    access = Access(
        parts.hostname or "",
        parts.port or (8883 if secure else 1883),
        client_id,
        sink.user,
        plain(sink.password),
        tls_of(sink.tls or secure),
        sink.protocol,
        sink.presence_topic and sink.presence_topic.replace("{client_id}", client_id),
        sink.keepalive_s,
        sink.connect_timeout_s,
    )
    return MqttSink(
        access,
        sink.topic,
        status_topic=sink.status_topic,
        qos=sink.qos,
        in_flight=sink.in_flight,
        name=name,
    )


def _make_jsonl(sink: JsonLinesSinkConfig, name: str) -> Sink:
    from sinks.jsonl import JsonLinesSink
    from sinks.line_file import Rotation

    rotation = Rotation(
        max_bytes=None if sink.rotate_mb is None else round(sink.rotate_mb * 1e6),
        period_s=sink.rotate_s,
        keep=sink.keep,
        compression=sink.compress,
    )
    return JsonLinesSink(
        sink.path,
        name=name,
        append=sink.when_exists == "append",
        rotation=rotation if sink.rotates else None,
    )


def _make_parquet(sink: ParquetSinkConfig, name: str) -> Sink:
    from sinks.parquet import ParquetSink, PartLimits

    return ParquetSink(
        sink.folder,
        name=name,
        limits=PartLimits(sink.rotate_rows, round(sink.rotate_mb * 1e6), sink.rotate_s),
        compression=sink.compression,
    )


def _make_webhook(sink: WebhookSinkConfig, name: str) -> Sink:
    from sinks.webhook import BatchLimits, WebhookSink

    return WebhookSink(
        sink.url,
        name=name,
        body_format=sink.body,
        limits=BatchLimits(sink.batch_messages, sink.batch_bytes),
        headers={k: v.get_secret_value() for k, v in (sink.headers or {}).items()},
        secret=plain(sink.secret),
        tls=tls_of(sink.tls or False),
        connect_timeout_s=sink.connect_timeout_s,
        timeout_s=sink.timeout_s,
    )


def make_filter(only: OnlyConfig | None) -> Filter | None:
    """Make the filter of what a sink gets; None: it gets everything."""
    return None if only is None else Filter(**dict(only))


def check_filters(
    config: PipelineConfig, streams: Sequence[StreamConfig], labels: Sequence[str]
) -> None:
    """Check every `only` against the streams of the run and the `labels` of its detector. Raises
    `ConfigError` for what is unknown, and for a filter that would let nothing through."""
    known = set(config.model.classes or labels)
    for place, sink in enumerate(config.sinks):
        if sink.only is None:
            continue
        only, key = sink.only, f"sinks[{place}].only"
        heard = [
            stream for stream in streams if Filter(streams=only.streams).takes_stream(stream.id)
        ]
        if not heard:
            raise ConfigError(f"{key}.streams", f"fits none of {_listed(s.id for s in streams)}")
        _require_known(f"{key}.classes", only.classes or (), known)
        lines = {line.name for stream in heard for line in stream.lines}
        _require_known(f"{key}.lines", only.lines or (), lines)
        zones = {zone.name for stream in heard for zone in stream.zones}
        _require_known(f"{key}.zones", only.zones or (), zones)
        if not lines and not zones and only.kinds == _ONLY_EVENTS:
            why = "nothing would get through: no stream that fits has lines or zones"
            raise ConfigError(f"{key}.kinds", why)
        if only.kinds == _ONLY_TRACK_ENDS and not config.tracking.enabled:
            raise ConfigError(f"{key}.kinds", "nothing would get through: tracking is off")


def _require_known(key: str, names: Iterable[str], known: Iterable[str]) -> None:
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ConfigError(key, f"{unknown[0]!r} is unknown; there is {_listed(known)}")


def _listed(names: Iterable[str]) -> str:
    shown = sorted(names)
    more = f" and {len(shown) - _MOST_LISTED} more" if len(shown) > _MOST_LISTED else ""
    return ", ".join(shown[:_MOST_LISTED]) + more or "none"
