"""`eyrie detect`: what was asked for on the command line, as a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

import typer

from detectors.engines.options import EngineChoice
from pipeline.cli.options import Classes, Conf, Engine, Fps, Model, Quiet, RunPrecision, names
from pipeline.core.errors import ConfigError
from stages.base import Hwaccel

if TYPE_CHECKING:
    from pipeline.config import PipelineConfig
    from stages.sources.find import Found


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is looked at, by which model, and where it is told."""

    sources: Annotated[
        list[str],
        typer.Argument(
            help="Files, folders, globs, pictures, rtsp://…, http://…, /dev/video0, watch:FOLDER, "
            "street:SEED, or - for standard input."
        ),
    ]
    model: Model[str] = "yolo_nas_n_int8"
    engine: Engine[EngineChoice] = "auto"
    precision: RunPrecision = None
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for NAME.jsonl and NAME.mp4 (default: out, unless --sink)."),
    ] = None
    sinks: Annotated[
        list[str] | None,
        typer.Option(
            "--sink",
            metavar="URL",
            help="Where messages go, such as kafka://HOST:PORT/TOPIC. Repeatable; see docs/cli.md.",
        ),
    ] = None
    classes: Classes = None
    conf: Conf[float] = 0.25
    fps: Fps = None
    max_frames: Annotated[
        int | None, typer.Option(min=1, help="End each stream after N frames.")
    ] = None
    hwaccel: Annotated[Hwaccel, typer.Option(help="Device that decodes; see docs/cli.md.")] = "none"
    live: Annotated[
        bool, typer.Option("--live", help="http://… and - are live: never made to wait.")
    ] = False
    quiet: Quiet = False


def configure(request: Request) -> PipelineConfig:
    """A configuration with one stream per file, camera or folder of pictures.

    Raises `ConfigError` when a source is not found or a sink address is not understood.
    """
    from pipeline.config.file import parse_config
    from stages.sources.find import expand_all

    classes = names("--classes", request.classes) or None
    limits = {"fps": request.fps, "max_frames": request.max_frames}
    streams = [{**_stream(one, request.live), **limits} for one in expand_all(request.sources)]
    sinks = [parse_sink(url) for url in request.sinks or ()]
    if request.out is not None or not sinks:
        folder = request.out or Path("out")
        sinks.append({"kind": "jsonl", "path": str(folder / "{stream_id}.jsonl")})
        sinks.append({"kind": "video", "path": str(folder / "{stream_id}.mp4")})
    model = {
        "name": request.model,
        "engine": request.engine,
        "precision": request.precision,
        "score_threshold": request.conf,
        "classes": classes,
    }
    data = {"streams": streams, "sinks": sinks, "model": model, "hwaccel": request.hwaccel}
    return parse_config(data)


def _stream(found: Found, live: bool) -> dict[str, Any]:
    """Its section. `live` is for what does not tell whether it is."""
    source: dict[str, Any]
    match found.kind:
        case "file":
            source = {"kind": "file", "path": found.location}
        case "images":
            source = {"kind": "images", "path": found.location}
        case "street":
            source = {"kind": "street", "seed": int(found.location)}
        case "watch":
            source = {"kind": "watch", "path": found.location}
        case "stdin":
            source = {"kind": "stdin", "live": live}
        case "webcam":
            source = {"kind": "webcam", "device": found.location, "reconnect": "once_up"}
        case "rtsp" | "http":
            url = urlsplit(found.location)
            again = {"reconnect": "once_up"} if live or found.kind == "rtsp" else {}
            more = {"live": live} if found.kind == "http" else {}
            source = {"kind": found.kind, "url": _bare(url), **_login(url), **again, **more}
    return {"id": found.name, "source": source}


def parse_sink(text: str) -> dict[str, Any]:
    """An address, a path ending in `.jsonl`, or `-` -> a section of `sinks`; docs/cli.md lists the
    addresses. Raises `ConfigError`, without a password."""
    if "://" not in text and (text == "-" or text.endswith(".jsonl")):
        return {"kind": "jsonl", "path": text}
    try:
        url = urlsplit(text)
        queries = dict(parse_qsl(url.query))
        family = url.scheme.partition("+")[0]
        if family in ("kafka", "kafkas"):
            return {**_kafka(url), **_tls(queries, url.scheme == "kafkas"), **queries}
        if family in ("redis", "rediss", "unix"):
            place = _place_of_socket(queries) if family == "unix" else ""
            bare = text.partition("?")[0] + place
            return {"kind": "redis", "url": bare, **_tls(queries), **queries}
        if url.scheme in ("mqtt", "mqtts"):
            bare = urlunsplit(url._replace(netloc=_hosts(url), query=""))
            return {"kind": "mqtt", "url": bare, **_login(url), **_tls(queries), **queries}
    except ValueError:  # its text may hold the password
        raise ConfigError("--sink", "the address has no valid host and port") from None
    raise ConfigError(
        "--sink",
        f"{text.rpartition('@')[2]!r} is none of kafka://HOST:PORT/TOPIC, "
        "redis://HOST:PORT/0?stream=NAME, mqtt://HOST:PORT, FILE.jsonl, -",
    )


def _kafka(url: SplitResult) -> dict[str, Any]:
    topic = url.path.strip("/")
    if not url.hostname or not topic:
        raise ConfigError("--sink", "a Kafka address is kafka://HOST:PORT/TOPIC")
    login = _login(url)
    mechanism = {"sasl_mechanism": "PLAIN"} if login else {}
    servers = {"bootstrap_servers": _hosts(url), "topic": topic}
    return {"kind": "kafka", **servers, **login, **mechanism}


def _tls(queries: dict[str, str], wanted: bool = False) -> dict[str, Any]:
    """The section `tls`, with the authority that `ca` of the queries names; takes it out."""
    ca = queries.pop("ca", None)
    if ca is not None:
        return {"tls": {"ca": ca}}
    return {"tls": True} if wanted else {}


def _place_of_socket(queries: dict[str, str]) -> str:
    """The number of the database, which a socket's address has no other place for; takes it out."""
    db = queries.pop("db", None)
    return "" if db is None else f"?db={db}"


def _hosts(url: SplitResult) -> str:
    return url.netloc.rpartition("@")[2]


def _login(url: SplitResult) -> dict[str, str]:
    """User and password of an address, decoded, where it has them."""
    parts = {"user": url.username, "password": url.password}
    return {key: unquote(value) for key, value in parts.items() if value is not None}


def _bare(url: SplitResult) -> str:
    return urlunsplit(url._replace(netloc=_hosts(url)))
