"""Redis as people run it: encrypted, behind Sentinels, as a cluster."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.exceptions import RedisError

from tests.services.certificates import Certificate
from tests.services.servers import Server, find, free_port

SERVICE = "cameras"
SLOTS = 16_384


def redis_with(folder: Path, *options: str, port: int | None = None) -> Server:
    """A Redis that has everything on disk before it answers, with more options."""
    folder.mkdir(exist_ok=True)
    port = port or free_port()
    where = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    kept = ["--appendonly", "yes", "--appendfsync", "always"]
    return Server([find("redis-server"), *where, *kept, *options], port, folder)


def encrypted(folder: Path, shown: Certificate, ca: Path, clients: str = "no") -> Server:
    """A Redis that speaks only TLS; with `clients` `yes` it wants their certificates too."""
    port = free_port()
    files = ["--tls-cert-file", str(shown.chain), "--tls-key-file", str(shown.key)]
    asked = ["--tls-ca-cert-file", str(ca), "--tls-auth-clients", clients]
    options = ["--port", "0", "--tls-port", str(port), *files, *asked]
    return redis_with(folder, *options, port=port)


def wait_until(is_so: Callable[[], bool], what: str, within_s: float = 30.0) -> None:
    """Raises `TimeoutError` when it never is; an answer that is an error counts as no."""
    deadline_s = time.monotonic() + within_s
    while True:
        try:
            if is_so():
                return
        except RedisError:
            pass
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"{what} not within {within_s:g} s")
        time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Watched:
    """A master and its two replicas, with three Sentinels that call the master `SERVICE`."""

    master: Server
    replicas: tuple[Server, ...]
    sentinels: tuple[Server, ...]

    @property
    def url(self) -> str:
        nodes = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{nodes}/{SERVICE}/0"


@contextmanager
def watched(folder: Path, password: str, down_after_ms: int = 500) -> Iterator[Watched]:
    """Runs them until the block is left. Servers and Sentinels have one password."""
    with ExitStack() as running:
        secret = ("--requirepass", password, "--masterauth", password)
        master = redis_with(folder / "master", *secret, "--repl-diskless-sync-delay", "0")
        of_master = ("--replicaof", f"127.0.0.1 {master.port}")
        replicas = tuple(redis_with(folder / f"replica-{i}", *secret, *of_master) for i in range(2))
        sentinels = tuple(
            _sentinel(folder / f"sentinel-{i}", master.port, password, down_after_ms)
            for i in range(3)
        )
        for server in (master, *replicas, *sentinels):
            server.start()
            running.callback(_end, server)
        clients = [redis.Redis(port=each.port, password=password) for each in sentinels]
        for client in clients:
            running.callback(client.close)
        try:
            wait_until(lambda: all(map(_is_watching, clients)), "Sentinels that agree")
        except TimeoutError as error:
            said = "\n".join(each.log.read_text(errors="replace") for each in sentinels)
            raise TimeoutError(f"{error}; they said\n{said}") from error
        yield Watched(master, replicas, sentinels)


def _sentinel(folder: Path, master_port: int, password: str, down_after_ms: int) -> Server:
    folder.mkdir()
    port = free_port()
    config = folder / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\nrequirepass {password}\n"
        f"sentinel sentinel-pass {password}\n"
        f"sentinel monitor {SERVICE} 127.0.0.1 {master_port} 2\n"
        f"sentinel auth-pass {SERVICE} {password}\n"
        f"sentinel down-after-milliseconds {SERVICE} {down_after_ms}\n"
        f"sentinel failover-timeout {SERVICE} 2000\n"
    )
    return Server([find("redis-server"), str(config), "--sentinel"], port, folder)


def _is_watching(client: redis.Redis) -> bool:
    state = client.sentinel_master(SERVICE)
    assert isinstance(state, dict)
    known = state["num-other-sentinels"] == 2 and state["num-slaves"] == 2
    return bool(known and not state["is_disconnected"])


def _end(server: Server) -> None:
    server.resume()
    server.kill()


@dataclass(frozen=True, slots=True)
class Cluster:
    """Three masters with a third of the slots each, and no replicas."""

    servers: tuple[Server, ...]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{each.port}" for each in self.servers)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Runs it until the block is left."""
    with ExitStack() as running:
        buses = [free_port() for _ in range(3)]
        servers = tuple(_member(folder / f"member-{i}", bus) for i, bus in enumerate(buses))
        for server in servers:
            server.start()
            running.callback(_end, server)
        clients = [redis.Redis(port=each.port) for each in servers]
        for i, client in enumerate(clients):
            running.callback(client.close)
            begin, end = SLOTS * i // 3, SLOTS * (i + 1) // 3 - 1
            client.cluster("ADDSLOTSRANGE", begin, end)
            client.cluster("SET-CONFIG-EPOCH", i + 1)
            client.cluster("MEET", "127.0.0.1", servers[0].port, buses[0])
        wait_until(lambda: all(_is_whole(client) for client in clients), "a whole cluster")
        yield Cluster(servers)


def _member(folder: Path, bus: int) -> Server:
    options = ("--cluster-enabled", "yes", "--cluster-port", str(bus))
    return redis_with(folder, *options, "--cluster-node-timeout", "1000")


def _is_whole(client: redis.Redis) -> bool:
    state = client.cluster("INFO")
    return bool(state["cluster_state"] == "ok" and state["cluster_known_nodes"] == "3")
