"""Real servers for the tests of this folder. Where one is missing its tests are skipped with the
reason; where CI is "true" they fail."""

import gc
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

import pytest

from tests.services import numbered, servers
from tests.services.cameras import CameraSite
from tests.services.mqtt_servers import mosquitto
from tests.services.secure_kafka import SecureKafka, secure_kafka_broker
from tests.services.servers import Server, ServiceMissing


def pytest_sessionfinish() -> None:
    """kafka-python leaves the sockets of failed connections to the garbage collector: collect them
    before pytest takes the collector's warnings for ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


CLIPS = ("people.mp4", "cars.mp4")


def _miss(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _running(make: Callable[[], Server]) -> Iterator[Server]:
    try:
        server = make()
    except ServiceMissing as missing:
        _miss(str(missing))
    server.start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _collect() -> Iterator[None]:
    """kafka-python leaves sockets of failed connections to the garbage collector, and its thread
    may hold them beyond the test that made them. Such sockets, and no others, are collected in
    silence."""
    yield
    with warnings.catch_warnings():
        never_connected = r"unclosed <socket.*laddr=\('0\.0\.0\.0', \d+\)>"
        warnings.filterwarnings("ignore", never_connected, ResourceWarning)
        gc.collect()


@pytest.fixture(scope="session")
def redis_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _running(lambda: servers.redis_server(tmp_path_factory.mktemp("redis")))


@pytest.fixture(scope="session")
def redis_server(redis_process: Server) -> str:
    """URL of a real Redis that all tests share."""
    return f"redis://127.0.0.1:{redis_process.port}/0"


@pytest.fixture(scope="session")
def kafka_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _running(lambda: servers.kafka_broker(tmp_path_factory.mktemp("kafka")))


@pytest.fixture(scope="session")
def kafka_broker(kafka_process: Server) -> str:
    """`host:port` of a real Kafka broker that all tests share. It creates no topics by itself."""
    return f"127.0.0.1:{kafka_process.port}"


@pytest.fixture(scope="session")
def fragile_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A broker to stop, kill and wipe. A test may leave it dead; its files are beside `log`."""
    yield from _running(lambda: servers.kafka_broker(tmp_path_factory.mktemp("fragile")))


@pytest.fixture(scope="session")
def secure_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    """A broker that wants certificates, passwords and rights."""
    made: list[SecureKafka] = []

    def make() -> Server:
        made.append(secure_kafka_broker(tmp_path_factory.mktemp("secure")))
        return made[0].server

    for _ in _running(make):
        yield made[0]


TopicMaker = Callable[..., str]


@pytest.fixture
def make_topic(kafka_process: Server) -> TopicMaker:
    """Makes a fresh topic: `make_topic(partitions=3, **{"max.message.bytes": "1000"})`."""

    def make(partitions: int = 3, **configs: str) -> str:
        topic = f"test-{uuid4().hex}"
        servers.create_topic(kafka_process.port, topic, partitions, configs)
        return topic

    return make


def _rtsp(shared: Path, folder: Path) -> Server:
    script = shared / "tools" / "rtsp_server.py"
    clips = [next(shared.glob(f"clips/**/{clip}")) for clip in CLIPS]
    return servers.rtsp_server(folder, script, clips)


@pytest.fixture(scope="session")
def rtsp_server(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`rtsp://host:port` of a real RTSP server that loops `/people` and `/cars`."""
    for server in _running(lambda: _rtsp(shared_dir, tmp_path_factory.mktemp("rtsp"))):
        yield f"rtsp://127.0.0.1:{server.port}"


ServerMaker = Callable[[str], Server]


@pytest.fixture
def make_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerMaker]:
    """Starts a server of the test's own to stop, kill and start again: `make_server("redis")`,
    `"kafka"` or `"rtsp"`. Ends it after the test."""
    started: list[Server] = []

    def make(kind: str) -> Server:
        folder = tmp_path / f"{kind}-{len(started)}"
        folder.mkdir()
        makers = {
            "redis": lambda: servers.redis_server(folder),
            "kafka": lambda: servers.kafka_broker(folder),
            "rtsp": lambda: _rtsp(request.getfixturevalue("shared_dir"), folder),
        }
        try:
            server = makers[kind]()
        except ServiceMissing as missing:
            _miss(str(missing))
        started.append(server)
        server.start()
        return server

    yield make
    for server in started:
        server.stop()


KEYLESS_FRAMES = numbered.FPS * int(os.environ.get("EYRIE_KEYLESS_S", "10"))
"""Ten seconds without a key frame in the suite; `make endurance` has 35."""
SiteMaker = Callable[..., CameraSite]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    return {
        "plain": numbered.make(folder / "plain.mp4"),
        "small": numbered.make(folder / "small.mp4", size=(128, 80)),
        "hevc": numbered.make(folder / "hevc.mp4", codec="libx265"),
        "reordered": numbered.make(folder / "reordered.mp4", b_frames=3),
        "keyless": numbered.make(
            folder / "keyless.mp4", frames=KEYLESS_FRAMES, key_every=KEYLESS_FRAMES
        ),
    }


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[SiteMaker]:
    """Starts cameras of the test's own: `make_site({"plain": clip}, ["--user", …])`."""
    started: list[CameraSite] = []

    def make(served: dict[str, Path], options: list[str] | None = None, **where: str) -> CameraSite:
        folder = tmp_path / f"site-{len(started)}"
        folder.mkdir()
        prefix = ["ip", "netns", "exec", where["netns"]] if where else []
        host = where.get("host", "127.0.0.1")
        try:
            site = CameraSite(folder, served, options or (), host=host, prefix=prefix)
        except ServiceMissing as missing:
            _miss(str(missing))
        started.append(site)
        site.start()
        return site

    yield make
    for site in started:
        site.resume()
        site.stop()


@pytest.fixture(scope="module")
def good(clips: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[CameraSite]:
    """A camera that is always well, watched beside those that fail."""
    try:
        site = CameraSite(tmp_path_factory.mktemp("good"), {"plain": clips["plain"]})
    except ServiceMissing as missing:
        _miss(str(missing))
    site.start()
    yield site
    site.stop()


@pytest.fixture
def make_broker(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts a broker of the test's own: `make_broker("max_packet_size 4000")`."""
    made: list[Server] = []

    def make(*lines: str, **more: Any) -> Server:
        made.append(mosquitto(tmp_path / f"mosquitto-{len(made)}", *lines, **more))
        made[-1].start()
        return made[-1]

    yield make
    for broker in made:
        broker.resume()
        broker.stop()
