"""Connecting to Redis, however it is set up."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import redis
import redis.cluster
import redis.sentinel
from redis.backoff import NoBackoff
from redis.retry import Retry

from sinks.redis.address import RedisAddress
from sinks.tls import Tls

# redis-py does not say what these take.
_ClusterNode: Any = redis.cluster.ClusterNode
_Sentinel: Any = redis.sentinel.Sentinel


@dataclass(frozen=True, slots=True)
class Login:
    """The login at the servers. What is None is taken from the address, or not sent. The Sentinels
    have users of their own."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_user: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)


class Connected:
    """A client of one server, of the master that Sentinels name, or of a cluster. It repeats
    nothing by itself. Not for several threads.

    `client` is what commands are called on. `close` closes its connections; idempotent.
    """

    client: redis.Redis
    is_cluster: bool

    def __init__(
        self, address: RedisAddress, login: Login, tls: Tls | None, timeout_s: float
    ) -> None:
        """Connects only for a cluster, to learn who has which slots; then blocks for about
        `timeout_s` a node and raises `redis.RedisError`."""
        self._stack = ExitStack()
        self.is_cluster = address.topology == "cluster"
        options = _options(address, login, tls, timeout_s)
        if address.topology == "cluster":
            self.client = self._cluster(address, options)
        elif address.topology == "sentinel":
            self.client = self._sentinel(address, login, options)
        elif address.path is not None:
            options = {name: value for name, value in options.items() if name != "ssl"}
            self.client = redis.Redis(
                unix_socket_path=address.path, db=address.db, retry=_once(), **options
            )
        else:
            host, port = address.nodes[0]
            self.client = redis.Redis(host, port, address.db, retry=_once(), **options)
        self._stack.callback(self.client.close)

    def publisher(self) -> redis.Redis:
        """A client of one server, to which messages can be published in order; in a cluster every
        node passes them on to all others."""
        if not isinstance(self.client, redis.cluster.RedisCluster):
            return self.client
        return self.client.get_redis_connection(self.client.get_default_node())

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _cluster(self, address: RedisAddress, options: dict[str, Any]) -> Any:
        nodes = [_ClusterNode(host, port) for host, port in address.nodes]
        return redis.cluster.RedisCluster(startup_nodes=nodes, retry=_once(), **options)

    def _sentinel(self, address: RedisAddress, login: Login, options: dict[str, Any]) -> Any:
        theirs = options | {
            "username": login.sentinel_user,
            "password": login.sentinel_password,
            "retry": _once(),
        }
        sentinel = _Sentinel(address.nodes, sentinel_kwargs=theirs)
        for each in sentinel.sentinels:
            self._stack.callback(each.close)
        return sentinel.master_for(address.service, db=address.db, retry=_once(), **options)


def connect(
    address: RedisAddress,
    login: Login | None = None,
    tls: Tls | None = None,
    timeout_s: float = 5.0,
) -> Connected:
    """A client for `address`; see `Connected`. `timeout_s` bounds the connect and each answer."""
    return Connected(address, login or Login(), tls, timeout_s)


def _once() -> Retry:
    """Who repeats what is decided by the caller, who knows whether it may be repeated."""
    return Retry(NoBackoff(), 0)


def _options(
    address: RedisAddress, login: Login, tls: Tls | None, timeout_s: float
) -> dict[str, Any]:
    options: dict[str, Any] = {
        "username": login.user or address.user,
        "password": login.password or address.password,
        "socket_connect_timeout": timeout_s,
        "socket_timeout": timeout_s,
        "protocol": 2,
    }
    if address.tls or tls is not None:
        asked = tls or Tls()
        options |= {
            "ssl": True,
            "ssl_ca_certs": asked.ca and str(asked.ca),
            "ssl_certfile": asked.cert and str(asked.cert),
            "ssl_keyfile": asked.key and str(asked.key),
            "ssl_check_hostname": asked.verify,
            "ssl_cert_reqs": "required" if asked.verify else "none",
        }
    return options
