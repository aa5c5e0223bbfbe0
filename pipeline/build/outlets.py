"""Outlets out of the sections of `sinks`, with or without a spool, each with its filter."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from pipeline.build import sinks as open_sink
from pipeline.config import PipelineConfig, SpoolConfig, SpooledSection, WebhookSinkConfig
from pipeline.core.clock import Clock
from pipeline.core.errors import ConfigError
from pipeline.outlets.outlet import Outlet
from pipeline.outlets.pictures import PictureOutlet
from pipeline.outlets.spooled import SpooledOutlet
from sinks.base import Sink
from sinks.spool.settings import SpoolSettings
from sinks.spool.spool import Spool

_GIVEN_SINK_QUEUE: Final = 1000
"""The messages that wait for a sink that a caller gives: the default of `queue_messages`."""
"""The messages that wait for a sink that the caller has made."""


def make_outlets(
    config: PipelineConfig, clock: Clock, given: Sequence[Sink] = ()
) -> list[Outlet | SpooledOutlet]:
    """Make the outlets of the `given` sinks, then of every message sink of the configuration;
    nothing is opened. Raises `ConfigError` for a given sink whose name another one has: it is how
    reports and metrics tell them apart."""
    outlets: list[Outlet | SpooledOutlet] = [
        Outlet(sink, _GIVEN_SINK_QUEUE, "block", clock) for sink in given
    ]
    outlets += [
        _make_outlet(config, sink, place, clock) for sink, place in open_sink.make_sinks(config)
    ]
    names = Counter(outlet.sink.name for outlet in outlets)
    for sink in given:
        if names[sink.name] > 1:
            why = f"{names[sink.name]} sinks are called {sink.name!r}: give each another name"
            raise ConfigError("sinks", why)
    return outlets


def make_picture_outlets(config: PipelineConfig) -> list[PictureOutlet]:
    """Make the outlet of every picture sink of the configuration; nothing is opened."""
    outlets = []
    for sink, place in open_sink.make_picture_sinks(config):
        section = config.sinks[place]
        outlets.append(PictureOutlet(sink, section.queue_messages, section.when_full))
    return outlets


def make_spool(sink: str, spec: SpoolConfig, clock: Clock | None = None) -> Spool:
    """Make the spool of the sink of that name; nothing is opened."""
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
