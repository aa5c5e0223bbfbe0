"""Addresses of what messages are read from."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from pipeline.core.errors import ConfigError
from pipeline.core.log import redact
from sinks.redis.address import RedisAddress

FORMS = (
    "kafka://HOST:PORT/TOPIC, redis://HOST:PORT/0?stream=NAME, or file:PATH.jsonl, in which `*` "
    "takes several files"
)
DEFAULT_STREAM = "eyrie:detections"
_MECHANISM = "PLAIN"


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """`kafka://[user@]HOST:PORT[,HOST:PORT]/TOPIC[,TOPIC]`, `kafkas://` with TLS; it takes the
    queries `ca`, a file, and `sasl_mechanism`."""

    servers: tuple[str, ...]
    topics: tuple[str, ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    mechanism: str = _MECHANISM
    tls: bool = False
    ca: str | None = None


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """`redis://[user@]HOST:PORT/DB?stream=NAME[,NAME]`, or another address of a Redis sink: with
    `rediss` TLS, and `ca` in the query; Sentinels, a cluster, a socket."""

    redis: RedisAddress
    streams: tuple[str, ...]
    ca: str | None = None


@dataclass(frozen=True, slots=True)
class FileAddress:
    """JSON Lines: a path, or a pattern such as `out/*.jsonl`."""

    pattern: str


Address = KafkaAddress | StreamAddress | FileAddress


def parse_address(text: str) -> Address:
    """Parse an address. Raises `ConfigError` with what is wrong, without the password."""
    if text.startswith("file:"):
        return FileAddress(_path(text))
    if "://" not in text:
        if text.endswith((".jsonl", "*")):
            return FileAddress(text)
        raise ConfigError("URL", f"{text!r} is none of {FORMS}")
    try:
        url = urlsplit(text)
        queries = dict(parse_qsl(url.query, keep_blank_values=True))
        password = None if url.password is None else unquote(url.password)
    except ValueError:  # its text may hold the password
        raise ConfigError("URL", f"the address has no valid host and port; give {FORMS}") from None
    if url.scheme in ("kafka", "kafkas"):
        return _kafka(url, queries, password)
    if url.scheme.partition("+")[0] in ("redis", "rediss", "unix"):
        return _redis(url, queries)
    raise ConfigError("URL", f"{redact(text)!r} is none of {FORMS}")


def _path(text: str) -> str:
    path = text.removeprefix("file:")
    path = path.removeprefix("//") if path.startswith("///") else path
    if not path or path.startswith("//"):
        raise ConfigError("URL", f"{text!r} names no file, give file:PATH.jsonl")
    return path


def _kafka(url: SplitResult, queries: dict[str, str], password: str | None) -> KafkaAddress:
    servers = tuple(part for part in url.netloc.rpartition("@")[2].split(",") if part)
    topics = tuple(part for part in url.path.strip("/").split(",") if part)
    unknown = set(queries) - {"ca", "sasl_mechanism"}
    if not servers or not topics or unknown:
        why = f"takes no {', '.join(sorted(unknown))}" if unknown else "has no host or no topic"
        shown = redact(url._replace(query="").geturl())
        raise ConfigError("URL", f"{shown!r} {why}: kafka://HOST:PORT/TOPIC")
    if any(not _has_port_or_none(server) for server in servers):
        raise ConfigError("URL", "the address has a port that is no number")
    user = None if url.username is None else unquote(url.username)
    mechanism = queries.get("sasl_mechanism", _MECHANISM)
    ca = _ca(queries)
    return KafkaAddress(servers, topics, user, password, mechanism, url.scheme == "kafkas", ca)


def _has_port_or_none(server: str) -> bool:
    _, colon, port = server.rpartition("]")[2].rpartition(":")
    return not colon or (port.isascii() and port.isdigit())


def _redis(url: SplitResult, queries: dict[str, str]) -> StreamAddress:
    names = queries.pop("stream", DEFAULT_STREAM)
    streams = tuple(part for part in names.split(",") if part)
    ca = _ca(queries)
    queries.pop("ca", None)
    try:
        redis = RedisAddress.parse(url._replace(query=urlencode(queries)).geturl())
    except ValueError as error:
        raise ConfigError("URL", str(error)) from None
    if not streams:
        raise ConfigError("URL", "the address names no stream: redis://HOST:PORT/0?stream=NAME")
    return StreamAddress(redis, streams, ca)


def _ca(queries: dict[str, str]) -> str | None:
    ca = queries.get("ca")
    if ca is not None and not Path(ca).is_file():
        raise ConfigError("URL", f"there is no file {ca!r}, which ca names")
    return ca
