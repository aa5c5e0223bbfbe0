"""A real mosquitto, and a subscriber that remembers what it got."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from pipeline.core.errors import Backpressure, Rejected, SinkUnavailable
from sinks.base import Outgoing, Sink
from tests.services.certificates import Certificate
from tests.services.servers import Server, find, free_port

_Properties: Any = Properties


def mosquitto(folder: Path, *lines: str, shown: Certificate | None = None) -> Server:
    """A broker that keeps in `folder` what it has for absent subscribers, over a `stop`. `lines`
    are added to its configuration; `shown` makes it speak only TLS."""
    folder.mkdir(exist_ok=True)
    port = free_port()
    given = [f"listener {port} 127.0.0.1", "persistence true", f"persistence_location {folder}/"]
    given += ["max_queued_messages 0", "user root"]  # else it cannot read what tests write
    if not any(line.startswith("allow_anonymous") for line in lines):
        given.append("allow_anonymous true")
    if shown is not None:
        given += [f"certfile {shown.chain}", f"keyfile {shown.key}"]
    config = folder / "mosquitto.conf"
    config.write_text("\n".join([*given, *lines, ""]))
    return Server([find("mosquitto"), "-c", str(config)], port, folder)


def deliver(sink: Sink, messages: Sequence[Outgoing], within_s: float = 30) -> list[str]:
    """Write and flush as an outlet does, until all is settled: the ids of those refused."""
    deadline_s, refused = time.monotonic() + within_s, list[str]()
    written = False
    while time.monotonic() < deadline_s:
        try:
            if not written:
                sink.write([each for each in messages if each.message_id not in refused])
                written = True
            sink.flush(1)
        except Rejected as error:
            if not error.message_ids:
                raise
            refused += error.message_ids
        except (Backpressure, SinkUnavailable):
            time.sleep(0.05)
        else:
            return refused
    raise TimeoutError(f"not delivered within {within_s:g} s")


class Listener:
    """Subscribes, with MQTT 5, and again after every reconnect, which it does by itself. What comes
    while it is not subscribed it misses, unless it is `lasting`: then its session outlives its
    connections, and the broker keeps for it what it does not confirm."""

    def __init__(self, port: int, topic: str = "#", *, lasting: bool = False) -> None:
        self.messages: list[MQTTMessage] = []
        self.subscriptions = 0
        name = "listener" if lasting else ""
        version = MQTTProtocolVersion.MQTTv5
        self._client = Client(CallbackAPIVersion.VERSION2, name, protocol=version)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._topic, self._port, self._lasting = topic, port, lasting

    def __enter__(self) -> Self:
        session: Any = _Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 3600 if self._lasting else 0
        self._client.connect(
            "127.0.0.1", self._port, clean_start=not self._lasting, properties=session
        )
        self._client.loop_start()
        self.wait_for(lambda listener: listener.subscriptions > 0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def catch_up(self) -> None:
        """Return when all is here that the broker had confirmed before."""
        mark = uuid4().hex.encode()
        self._client.publish("mark", mark, qos=1)
        if self._topic != "#":
            raise ValueError("the mark needs a subscription to all topics")
        self.wait_for(lambda each: any(message.payload == mark for message in each.messages))

    def bodies(self, under: str = "") -> list[bytes]:
        """What came, in order, below a topic; without what the broker had kept before."""
        return [
            bytes(each.payload)
            for each in list(self.messages)
            if not each.retain and each.topic.startswith(under)
        ]

    def kept(self) -> dict[str, bytes]:
        """What the broker had kept for those who come later, by topic."""
        return {each.topic: bytes(each.payload) for each in list(self.messages) if each.retain}

    def wait_for(self, is_so: Callable[["Listener"], bool], within_s: float = 20) -> None:
        """Raises `TimeoutError` when it never is."""
        deadline_s = time.monotonic() + within_s
        while not is_so(self):
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"not within {within_s:g} s; {len(self.messages)} messages came")
            time.sleep(0.01)

    def _on_connect(self, client: Client, *_: Any) -> None:
        client.subscribe(self._topic, qos=1 if self._lasting else 0)

    def _on_subscribe(self, *_: Any) -> None:
        self.subscriptions += 1

    def _on_message(self, client: Client, data: Any, message: MQTTMessage) -> None:
        self.messages.append(message)


class OldBroker:
    """In front of a broker, one that knows MQTT 3.1.1 only: it answers version 5 as the standard of
    3.1.1 demands (section 3.2.2.3), or `hangs_up`, as some do."""

    def __init__(self, port: int, *, hangs_up: bool = False) -> None:
        self._target, self._hangs_up = port, hangs_up
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            # Fixed header of two bytes, then the name "MQTT" with its length, then the version.
            first = client.recv(2048)
            if first[8] == MQTTProtocolVersion.MQTTv5:
                if not self._hangs_up:
                    client.sendall(b"\x20\x02\x00\x01")
                client.close()
                continue
            broker = socket.create_connection(("127.0.0.1", self._target))
            broker.sendall(first)
            for pair in ((client, broker), (broker, client)):
                threading.Thread(target=_pump, args=pair, daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(4096):
            target.sendall(data)
    for each in (source, target):
        each.close()
