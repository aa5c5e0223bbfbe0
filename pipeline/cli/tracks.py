"""`eyrie tracks`: heat maps and trajectories of recorded messages, by the sinks of a run."""

from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from pipeline.cli.command import command
from pipeline.cli.options import Streams, names

if TYPE_CHECKING:
    from pipeline.core.frame_record import AnyMessage
    from pipeline.core.messages import Message
    from sinks.base import Sink

_WAIT_S: Final = 2.0

app = typer.Typer(
    name="tracks", help="Heat maps and trajectories of recorded messages.", no_args_is_help=True
)

Sources = Annotated[
    list[str],
    typer.Argument(help="JSON lines, such as out/gate.jsonl or 'out/*.jsonl', or an address."),
]
Classes = Annotated[str | None, typer.Option(help="Only these, such as person,car.")]


@command(app)
def heatmap(
    sources: Sources,
    out: Annotated[
        str, typer.Option(help="The PNG; {stream_id} makes one a stream.")
    ] = "heatmap-{stream_id}.png",
    coordinates: Annotated[
        Literal["picture", "plane"], typer.Option(help="Pixels, or metres on the ground.")
    ] = "picture",
    cell: Annotated[
        float | None, typer.Option(help="Width of a cell, px or m (default: 16, 0.5).")
    ] = None,
    raw: Annotated[
        Literal["none", "csv", "npy"], typer.Option(help="The numbers, beside the PNG.")
    ] = "none",
    background: Annotated[
        Path | None, typer.Option(help="A picture to lie under the heat map.")
    ] = None,
    stream: Streams = None,
    classes: Classes = None,
) -> int:
    """How long tracks were where."""
    section = {
        "kind": "heatmap",
        "path": out,
        "coordinates": coordinates,
        "cell": cell,
        "raw": raw,
        "background": background,
    }
    return run_tracks(sources, section, stream, classes, None)


@command(app)
def trajectories(
    sources: Sources,
    out: Annotated[
        str, typer.Option(help="The GeoJSON file; {stream_id} makes one a stream.")
    ] = "trajectories-{stream_id}.geojson",
    coordinates: Annotated[
        Literal["picture", "plane", "wgs84"],
        typer.Option(help="Pixels, metres on the ground, or degrees; the last needs --config."),
    ] = "plane",
    sample_s: Annotated[float, typer.Option(help="Least time between points of a track.")] = 0.5,
    tracks_per_file: Annotated[int, typer.Option(help="Then another file begins.")] = 1000,
    config: Annotated[
        Path | None,
        typer.Option(help="The configuration of the run: where on the globe its streams are."),
    ] = None,
    stream: Streams = None,
    classes: Classes = None,
) -> int:
    """Which way tracks went, as GeoJSON."""
    section = {
        "kind": "trajectories",
        "path": out,
        "coordinates": coordinates,
        "sample_s": sample_s,
        "tracks_per_file": tracks_per_file,
    }
    return run_tracks(sources, section, stream, classes, config)


def run_tracks(
    sources: list[str],
    section: dict[str, Any],
    streams: Collection[str] | None,
    classes: str | None,
    config: Path | None,
) -> int:
    """Read all messages of `sources`, and write the files of that sink. Raises `ConfigError`."""
    from pipeline.core.errors import ConfigError
    from sinks.base import Outgoing
    from sinks.filter import Filter
    from sinks.paths import STREAM_ID, path_for

    wanted = names("--classes", classes) or None
    kept = Filter(streams=tuple(streams or ()) or None, classes=wanted)
    sink = _make(section, config)
    sink.open()
    apart = section["coordinates"] != "picture" or STREAM_ID in section["path"]
    placed: dict[str, int] = {}
    for message in _messages(sources):
        told = kept.apply(message)
        if told is None:
            continue
        placed.setdefault(told.stream_id, 0)
        placed[told.stream_id] += _placed(told, section["coordinates"])
        if len(placed) > 1 and not apart:
            raise ConfigError("--out", f"messages of several streams need {STREAM_ID} in it")
        sink.write([Outgoing.of(told)])
    if not any(placed.values()):
        plane = section["coordinates"] != "picture"
        what = "tracks with a plane" if plane else "tracks"
        else_ = "; give the streams a plane, or --coordinates picture" if plane else ""
        raise ConfigError("SOURCES", f"there are no {what} in these messages{else_}")
    sink.close()
    for path in sorted({path_for(section["path"], stream_id) for stream_id in placed}):
        typer.echo(path)
    return 0


def _make(section: dict[str, Any], config: Path | None) -> "Sink":
    from pydantic import ValidationError

    from pipeline.build.tracks import GeoReferences, geo_references, open_section
    from pipeline.config import HeatmapSinkConfig, TrajectoriesSinkConfig
    from pipeline.config.file import load_config
    from pipeline.core.errors import ConfigError

    model = HeatmapSinkConfig if section["kind"] == "heatmap" else TrajectoriesSinkConfig
    try:
        given = model.model_validate(section)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = "".join(f"--{place}".replace("_", "-") for place in first["loc"][:1])
        key = {"--path": "--out", "": "--out"}.get(key, key)
        raise ConfigError(key, first["msg"].removeprefix("Value error, ")) from None
    if section["coordinates"] == "wgs84" and config is None:
        raise ConfigError("--config", "is needed for wgs84: it says where the streams are")
    known = {} if config is None else geo_references(load_config(config).streams)
    return open_section(given, str(given.kind), GeoReferences(known))


def _messages(sources: list[str]) -> "Iterator[Message]":
    from pydantic import ValidationError

    from pipeline.cli.reading import password_for, quiet_clients
    from pipeline.core.errors import ConfigError
    from pipeline.core.messages import OtherMessage
    from sinks.consume.address import parse_address
    from sinks.consume.base import Reading
    from sinks.consume.bodies import read_body
    from sinks.consume.open_reader import make_reader

    quiet_clients()
    for source in sources:
        reading = Reading(follow=False, password=password_for(source))
        with closing(make_reader(parse_address(source), reading)) as reader:
            reader.open()
            while not reader.exhausted:
                for record in reader.read(_WAIT_S):
                    try:
                        message = read_body(record.body)
                    except ValidationError as error:
                        why = f"{record.place} is no message of Eyrie"
                        raise ConfigError("SOURCES", why) from error
                    if not isinstance(message, OtherMessage):
                        yield message


def _placed(message: "AnyMessage", coordinates: str) -> int:
    """How many tracks of a message have a place."""
    from pipeline.core.messages import FrameMessage

    if not isinstance(message, FrameMessage):
        return 0
    tracked = [found for found in message.detections if found.track_uid is not None]
    return sum(coordinates == "picture" or found.plane is not None for found in tracked)
