"""The address of Redis: one server, a Sentinel that knows the master, or a cluster."""

from dataclasses import dataclass, field
from typing import Literal, Self
from urllib.parse import SplitResult, unquote, urlsplit

from pipeline.core.log import redact

Topology = Literal["single", "sentinel", "cluster"]

_TOPOLOGIES: dict[str, Topology] = {"": "single", "sentinel": "sentinel", "cluster": "cluster"}
_PORT = 6379
_SENTINEL_PORT = 26379
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """An address in parts. `nodes` are (host, port): the server, the Sentinels, or some nodes of
    the cluster; `path` is the socket instead of them. `service` is what the Sentinels call the
    master. `db` is the number of the database, always 0 in a cluster."""

    topology: Topology
    nodes: tuple[tuple[str, int], ...]
    path: str | None = None
    service: str = ""
    db: int = 0
    tls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read `redis://HOST:PORT/DB`, `unix:///PATH?db=DB`,
        `redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB` or `redis+cluster://HOST:PORT,HOST:PORT`;
        `rediss` in place of `redis` means TLS, and `USER:PASSWORD@` may come before the hosts, in
        percent-encoding. Raises ValueError, without a password in it."""
        try:
            parts = urlsplit(url)
        except ValueError:
            raise ValueError(_NO_HOST) from None
        family, _, shape = parts.scheme.partition("+")
        if parts.scheme == "unix":
            return cls._socket(parts)
        if family not in ("redis", "rediss") or shape not in _TOPOLOGIES:
            raise ValueError(
                f"the scheme of {redact(url)!r} must be redis, rediss (TLS) or unix, or with "
                "+sentinel or +cluster behind the first two"
            )
        topology = _TOPOLOGIES[shape]
        user, password, hosts = _login(parts.netloc)
        service, db = _place(parts, topology)
        port = _SENTINEL_PORT if topology == "sentinel" else _PORT
        nodes = tuple(_node(host, port, url) for host in hosts.split(","))
        if topology == "single" and len(nodes) > 1:
            raise ValueError(
                "several hosts are for redis+sentinel:// and redis+cluster://: give one"
            )
        return cls(topology, nodes, None, service, db, family == "rediss", user, password)

    @classmethod
    def _socket(cls, parts: SplitResult) -> Self:
        user, password, _ = _login(parts.netloc)
        number = parts.query.removeprefix("db=")
        if parts.query and not _is_number(number):
            raise ValueError(_PLACES)
        return cls("single", (), parts.path, "", int(number or 0), False, user, password)

    def __str__(self) -> str:
        """What may be shown of it: hosts and ports, or the path of the socket."""
        nodes = ",".join(f"{host}:{port}" for host, port in self.nodes)
        kind = "" if self.topology == "single" else f"{self.topology} "
        return kind + (self.path or nodes)


_PLACES = (
    "the address takes the number of the database and no more, as in redis://HOST:PORT/0, "
    "unix:///PATH?db=0, redis+sentinel://HOST:PORT/SERVICE/0 or redis+cluster://HOST:PORT; all "
    "else has its own key"
)


_NO_HOST = "the address needs a valid host, and a port that is a number up to 65535"
"""Without the address: where the host is missing, a password takes the place of the port."""


def _login(netloc: str) -> tuple[str | None, str | None, str]:
    login, _, hosts = netloc.rpartition("@")
    user, _, password = login.partition(":")
    return unquote(user) or None, unquote(password) or None, hosts


def _place(parts: SplitResult, topology: Topology) -> tuple[str, int]:
    """The Sentinels' name of the master, and the number of the database."""
    steps = parts.path.strip("/").split("/") if parts.path.strip("/") else []
    service = ""
    if topology == "sentinel":
        if not steps:
            raise ValueError(
                "the address lacks the master's name: redis+sentinel://HOST:PORT/SERVICE"
            )
        service = unquote(steps.pop(0))
    number = steps[0] if steps else "0"
    if parts.query or parts.fragment or steps[1:] or not _is_number(number):
        raise ValueError(_PLACES)
    if topology == "cluster" and int(number):
        raise ValueError("a cluster has only the database 0")
    return service, int(number)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _node(host: str, default_port: int, url: str) -> tuple[str, int]:
    name, bracket, port = host.rpartition("]")
    if bracket:
        name, port = name.removeprefix("["), port.removeprefix(":")
    else:
        name, _, port = host.partition(":")
    name = name or ("" if "," in url else "localhost")
    if not name or (port and not (_is_number(port) and 0 < int(port) <= _LAST_PORT)):
        raise ValueError(_NO_HOST)
    return name, int(port or default_port)
