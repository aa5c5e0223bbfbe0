"""Real servers for tests: found on this machine, started on free ports, stopped for sure."""

import base64
import errno
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

from kafka import KafkaAdminClient

ROOT = Path(__file__).resolve().parents[2]
KAFKA_LIB = ROOT / ".services" / "kafka" / "lib"
INSTALL = "run tests/services/install.sh"
SYSTEM_PYTHON = "/usr/bin/python3"
FIRST_PORT, LAST_PORT = 15_000, 32_768  # below what Linux gives to outgoing connections
_given: set[int] = set()


class ServiceMissing(Exception):
    """This machine cannot run the server; the text says what is missing."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listened on a moment ago.

    One that the kernel gives to no outgoing connection: between this answer and a server's start
    another test, in a process of its own, may open hundreds of those.
    """
    while True:
        port = FIRST_PORT + secrets.randbelow(LAST_PORT - FIRST_PORT)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if port not in _given and not _is_taken(probe, port):
                _given.add(port)
                return port


def _is_taken(probe: socket.socket, port: int) -> bool:
    try:
        probe.bind(("127.0.0.1", port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return True
        raise
    return False


class Server:
    """One process with a port, its output in `folder/log`. Start and stop it as often as needed:
    the port and what it keeps in `folder` stay the same."""

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        folder: Path,
        is_ready: Callable[["Server"], bool] | None = None,
    ) -> None:
        self.port = port
        self.log = folder / "log"
        self.command = list(command)
        self._is_ready = is_ready or Server.accepts
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its number while it runs. Raises `RuntimeError` else."""
        if self._process is None:
            raise RuntimeError(f"{self.command[0]} does not run")
        return self._process.pid

    def start(self, timeout_s: float = 100.0) -> None:
        """Return when it is ready. Raises `RuntimeError` with its output when it never is."""
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(self.command, stdout=log, stderr=log)
        deadline_s = time.monotonic() + timeout_s
        while not self._is_ready(self):
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                self.kill()
                raise RuntimeError(f"{self.command[0]} is not ready:\n{self.log.read_text()}")
            time.sleep(0.05)
        if self._process.poll() is not None:  # another's server answered on the port
            self.kill()
            raise RuntimeError(f"{self.command[0]} has ended:\n{self.log.read_text()}")

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to what is still there after ten seconds."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """SIGKILL: no goodbye to anybody."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Freeze the process: it answers nothing, and its connections stay open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def accepts(self) -> bool:
        """Whether something listens on the port."""
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", self.port)) != 0:
                return False
            # A free port can be given to the probe itself, which then meets itself.
            return bool(probe.getsockname() != probe.getpeername())

    def said(self, word: str) -> bool:
        """Whether the output has a line that is `word`."""
        return word in self.log.read_text(errors="replace").splitlines()


def find(program: str) -> str:
    """The path of a program. Raises `ServiceMissing`."""
    path = shutil.which(program)
    if path is None:
        raise ServiceMissing(f"{program} is not installed, {INSTALL}")
    return path


def redis_server(folder: Path) -> Server:
    """A Redis that keeps its data in `folder` over a `stop`, not over a `kill`."""
    port = free_port()
    where = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    return Server([find("redis-server"), *where, "--save", "3600 1"], port, folder)


def rtsp_server(folder: Path, script: Path, clips: Sequence[Path]) -> Server:
    """Loops each clip at `rtsp://127.0.0.1:PORT/<stem of its file name>`."""
    if not Path(SYSTEM_PYTHON).exists():
        raise ServiceMissing(f"{SYSTEM_PYTHON} is not there, {INSTALL}")
    check = "import gi; gi.require_version('GstRtspServer', '1.0')"
    if subprocess.run([SYSTEM_PYTHON, "-c", check], capture_output=True, check=False).returncode:
        raise ServiceMissing(f"GStreamer's RTSP server is not installed, {INSTALL}")
    port = free_port()
    command = [SYSTEM_PYTHON, str(script), "--port", str(port), *map(str, clips)]
    return Server(command, port, folder, lambda server: server.said("ready"))


def kafka_broker(
    folder: Path, properties: Mapping[str, str] | None = None, scram: Sequence[str] = ()
) -> Server:
    """A Kafka broker and controller in one process, its data in `folder/data`.

    `properties` go over those of a plain broker. `scram` are users, as `StorageTool format` takes
    them: `SCRAM-SHA-256=[name=NAME,password=PASSWORD]`.
    """
    java = find("java")
    if not KAFKA_LIB.is_dir():
        raise ServiceMissing(f"Kafka's jars are not in {KAFKA_LIB}, {INSTALL}")
    port = free_port()
    config = folder / "server.properties"
    more = "".join(f"{key}={value}\n" for key, value in (properties or {}).items())
    more = more.replace("{port}", str(port))
    config.write_text(_kafka_properties(port, free_port(), folder / "data") + more)
    format_kafka(folder, scram)
    lean = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    command = [java, *lean, "-cp", f"{KAFKA_LIB}/*", "kafka.Kafka", str(config)]
    return Server(command, port, folder, _kafka_is_ready)


def format_kafka(folder: Path, scram: Sequence[str] = ()) -> None:
    """A new cluster, and nothing of the one before: only while the broker in `folder` is down."""
    shutil.rmtree(folder / "data", ignore_errors=True)
    tool = [find("java"), "-XX:TieredStopAtLevel=1", "-cp", f"{KAFKA_LIB}/*"]
    storage = [*tool, "kafka.tools.StorageTool"]
    cluster = "E" + base64.urlsafe_b64encode(uuid4().bytes).decode()[1:22]  # as `random-uuid` does
    users = [option for user in scram for option in ("--add-scram", user)]
    config = str(folder / "server.properties")
    subprocess.run(
        [*storage, "format", "-t", cluster, "-c", config, *users], check=True, capture_output=True
    )


def create_topic(port: int, topic: str, partitions: int, configs: dict[str, str]) -> None:
    """Make a topic and return when every partition has a leader."""
    options = {"num_partitions": partitions, "replication_factor": 1, "configs": configs}
    with KafkaAdminClient(bootstrap_servers=f"127.0.0.1:{port}") as admin:
        admin.create_topics({topic: options}, wait_for_metadata=True)


def _kafka_properties(port: int, controller_port: int, data: Path) -> str:
    return f"""process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller_port}
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=8388608
"""


def _kafka_is_ready(server: Server) -> bool:
    if not server.accepts():
        return False
    with KafkaAdminClient(bootstrap_servers=f"127.0.0.1:{server.port}") as admin:
        return bool(admin.describe_cluster()["brokers"])
