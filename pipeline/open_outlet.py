"""Sections of `sinks` to outlets: whether a sink has a spool, and what it gets."""

from pipeline import open_sink
from pipeline.config import PipelineConfig, SpoolConfig, SpooledSection, WebhookSinkConfig
from pipeline.core.clock import Clock
from pipeline.outlet import Outlet
from pipeline.picture_outlet import PictureOutlet
from pipeline.spooled_outlet import SpooledOutlet
from sinks.base import Sink
from sinks.spool.settings import SpoolSettings
from sinks.spool.spool import Spool


def make_outlets(config: PipelineConfig, clock: Clock) -> list[Outlet | SpooledOutlet]:
    """One for every message sink of the configuration; nothing is opened."""
    return [
        _make_outlet(config, sink, place, clock) for sink, place in open_sink.make_sinks(config)
    ]


def make_picture_outlets(config: PipelineConfig) -> list[PictureOutlet]:
    """One for every picture sink of the configuration; nothing is opened."""
    outlets = []
    for sink, place in open_sink.make_picture_sinks(config):
        section = config.sinks[place]
        outlets.append(PictureOutlet(sink, section.queue_messages, section.when_full))
    return outlets


def make_spool(sink: str, spec: SpoolConfig, clock: Clock | None = None) -> Spool:
    """The spool of the sink of that name; nothing is opened."""
    settings = SpoolSettings(spec.max_mb << 20, spec.when_full, spec.fsync)
    return Spool(spec.folder / sink, settings, sink, clock)


def _make_outlet(
    config: PipelineConfig, sink: Sink, place: int, clock: Clock
) -> Outlet | SpooledOutlet:
    section = config.sinks[place]
    capacity, when_full = section.queue_messages, section.when_full
    kept = open_sink.make_filter(section.only)
    only = kept.apply if kept is not None else None
    linger_s = section.linger_s if isinstance(section, WebhookSinkConfig) else 0.0
    spool = section.spool_config(config.spool) if isinstance(section, SpooledSection) else None
    if spool is None:
        return Outlet(sink, capacity, when_full, clock, only, linger_s)
    return SpooledOutlet(
        sink,
        make_spool(sink.name, spool, clock),
        capacity,
        when_full,
        clock,
        config.drain_timeout_s,
        only,
        linger_s,
    )
