"""A stream's rules, which are its lines, zones and masks, out of its configuration."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.config import (
    DirectionConfig,
    LineConfig,
    MaskConfig,
    ScheduleConfig,
    StoppedConfig,
    StreamConfig,
    ZoneConfig,
)
from pipeline.config.rules import LimitConfig, OccupancyConfig, StayConfig
from pipeline.core.errors import ConfigError
from stages.zones.rules import (
    DirectionRule,
    LimitRule,
    LineRule,
    MaskRule,
    OccupancyRule,
    Rules,
    StayRule,
    StoppedRule,
    ZoneRule,
)
from stages.zones.schedule import DAYS, Schedule

_MOST_NAMED = 10


def make_rules(stream: StreamConfig, labels: Sequence[str]) -> Rules:
    """Make the rules of a stream; `labels` are the detector's. Classes that it does not know are
    left out: `check_classes` refuses them before."""
    return Rules(
        tuple(_line(line, labels) for line in stream.lines),
        tuple(_zone(zone, labels) for zone in stream.zones),
        tuple(_mask(mask, place, labels) for place, mask in enumerate(stream.masks)),
    )


def check_classes(streams: Iterable[StreamConfig], known: Sequence[str]) -> None:
    """Raise `ConfigError` for a class of a line, zone or mask that is not among those that are
    `known`: the detector's labels, or those that `model.classes` leaves of them."""
    for stream in streams:
        parts = (("lines", stream.lines), ("zones", stream.zones), ("masks", stream.masks))
        for key, some in parts:
            for place, part in enumerate(some):
                for label in part.classes or ():
                    if label not in known:
                        path = f"streams.{stream.id}.{key}[{place}].classes"
                        raise ConfigError(path, _unknown(label, known))


def _unknown(label: str, known: Sequence[str]) -> str:
    near = get_close_matches(label, known, n=3)
    if near:
        return f"{label!r} is unknown; did you mean {' or '.join(repr(one) for one in near)}?"
    shown = ", ".join(sorted(known)[:_MOST_NAMED])
    more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    return f"{label!r} is unknown; there is {shown}{more}"


def _line(line: LineConfig, labels: Sequence[str]) -> LineRule:
    return LineRule(name=line.name, points=line.way, **_border(line, labels))


def _zone(zone: ZoneConfig, labels: Sequence[str]) -> ZoneRule:
    return ZoneRule(
        name=zone.name,
        points=zone.polygon,
        passages=zone.passages,
        dwell=_stay(zone.dwell) if zone.dwell else None,
        loitering=_stay(zone.loitering) if zone.loitering else None,
        stopped=_stopped(zone.stopped) if zone.stopped else None,
        direction=_direction(zone.direction) if zone.direction else None,
        occupancy=_occupancy(zone.occupancy) if zone.occupancy else None,
        crowd=_limit(zone.limit) if zone.limit else None,
        **_border(zone, labels),
    )


def _border(drawn: LineConfig | ZoneConfig, labels: Sequence[str]) -> dict[str, Any]:
    """The fields that a line and a zone have in common."""
    return {
        "units": drawn.units,
        "anchor": drawn.anchor,
        "classes": _ids(drawn.classes, labels),
        "hysteresis_px": drawn.hysteresis_px,
        "confirm_frames": drawn.confirm_frames,
        "schedule": _schedule(drawn.when),
        "interval_ns": _ns(drawn.interval_s),
    }


def _mask(mask: MaskConfig, place: int, labels: Sequence[str]) -> MaskRule:
    name = mask.name or f"mask {place + 1}"
    return MaskRule(name, mask.polygon, mask.units, mask.anchor, _ids(mask.classes, labels))


def _stay(stay: StayConfig) -> StayRule:
    return StayRule(round(stay.after_s * 1e9), _ns(stay.every_s))


def _stopped(stopped: StoppedConfig) -> StoppedRule:
    return StoppedRule(_stay(stopped), stopped.radius)


def _direction(direction: DirectionConfig) -> DirectionRule:
    stay = _stay(direction)
    return DirectionRule(stay, direction.along, direction.tolerance_deg, direction.step)


def _occupancy(occupancy: OccupancyConfig) -> OccupancyRule:
    return OccupancyRule(round(occupancy.hold_s * 1e9))


def _limit(limit: LimitConfig) -> LimitRule:
    clear = limit.count - 1 if limit.clear is None else limit.clear
    return LimitRule(limit.count, clear, round(limit.hold_s * 1e9), _ns(limit.every_s))


def _schedule(when: ScheduleConfig | None) -> Schedule | None:
    if when is None:
        return None
    return Schedule(frozenset(when.days or DAYS), when.spans, ZoneInfo(when.zone))


def _ids(classes: Sequence[str] | None, labels: Sequence[str]) -> frozenset[int] | None:
    if classes is None:
        return None
    return frozenset(place for place, label in enumerate(labels) if label in classes)


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1e9)
