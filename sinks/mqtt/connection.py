"""One connection to an MQTT broker, by paho-mqtt."""

import contextlib
import queue
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from pipeline.core.errors import Rejected, SinkError, SinkUnavailable
from pipeline.core.messages import SCHEMA
from sinks.base import Outgoing
from sinks.tls import Tls

_Properties: Any = Properties
Protocol = Literal["auto", "5", "3.1.1"]
Qos = Literal[0, 1, 2]

ONLINE, OFFLINE = b"online", b"offline"
_GOODBYE_S: Final = 1.0
LOST: Final = -1
"""The `mid` of an answer that says that the connection is gone."""

# MQTT 5.0, table 2-6.
_FAILURE: Final = 0x80
_UNSUPPORTED_VERSION: Final = 0x84
# The last is what comes of a refusal with QoS 2, where paho does not heed the PUBREC.
_DENIED: Final = frozenset({0x85, 0x86, 0x87, 0x8A, 0x8C, 0x92})
# What no retry changes: the topic, the size, the payload.
_FOR_EVER: Final = frozenset({0x90, 0x95, 0x99})


@dataclass(frozen=True, slots=True)
class Publication:
    """A publication to one topic. `message` is settled with it; None for one of our own."""

    topic: str
    body: bytes
    qos: Qos
    retain: bool
    message: Outgoing | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of the broker about the publication `mid`, or, with `LOST`, about the
    connection."""

    mid: int
    code: int
    why: str

    @property
    def taken(self) -> bool:
        """Delivered, if only to nobody."""
        return self.code < _FAILURE

    @property
    def for_ever(self) -> bool:
        """True if the broker would refuse it again."""
        return self.code in _FOR_EVER

    @property
    def denied(self) -> bool:
        """The user may not do this."""
        return self.code in _DENIED


@dataclass(frozen=True, slots=True)
class Access:
    """The address of the broker and who connects. `presence` is a topic whose retained text says
    `online`, or `offline` once we left or are gone; None: no such topic."""

    host: str
    port: int
    client_id: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    protocol: Protocol = "auto"
    presence: str | None = None
    keepalive_s: int = 30
    timeout_s: float = 10.0

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Connection:
    """Connected from birth until `close`, or until an answer says `LOST`. paho's thread reads and
    writes the socket and answers pings; one other thread calls the methods.

    `window` is how many publications the broker takes unanswered; `largest_bytes` the largest
    packet, None where it does not say. `protocol` is what was agreed on.
    """

    def __init__(self, access: Access, sink: str) -> None:
        """Blocks for at most about twice `timeout_s`. Raises `Rejected` where the broker refuses
        who we are or is not who it should be, else `SinkUnavailable`."""
        self.answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._access, self._sink = access, sink
        self.window = 65_535
        self.largest_bytes: int | None = None
        try:
            self._connect("3.1.1" if access.protocol == "3.1.1" else "5")
        except _OldBroker as error:
            if access.protocol != "auto":
                raise error.told from None
            self._connect("3.1.1")

    def publish(self, publication: Publication) -> int:
        """Hand over to paho: its `mid`, by which the broker answers. Blocks little. What cannot be
        sent because the connection has gone is never answered, but by `LOST`."""
        properties = self._properties(publication)
        return self._client.publish(
            publication.topic, publication.body, publication.qos, publication.retain, properties
        ).mid

    def size_bytes(self, publication: Publication) -> int:
        """The size of a publication's packet (MQTT 5.0, section 3.3), at most."""
        properties = self._properties(publication)
        packed = 0 if properties is None else len(properties.pack())
        return 1 + 4 + 2 + len(publication.topic.encode()) + 2 + packed + len(publication.body)

    def say_goodbye(self) -> None:
        """Tell the broker that we leave on purpose, so that it does not tell our last will. Blocks
        for at most twice a second, where it does not answer."""
        if self._access.presence is not None:
            gone = Publication(self._access.presence, OFFLINE, 1, retain=True)
            self._await(self.publish(gone))
        self._client.disconnect()
        self._await(LOST)

    def _await(self, mid: int) -> None:
        deadline_s = time.monotonic() + _GOODBYE_S
        with contextlib.suppress(queue.Empty):
            while True:
                answer = self.answers.get(timeout=max(0, deadline_s - time.monotonic()))
                if answer.mid in (mid, LOST):
                    return

    def close(self) -> None:
        """Cut the connection and end paho's thread. Idempotent."""
        connected: Any = self._client.socket()
        if connected is not None:
            # paho's thread would wait for answers that never come.
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)
        self._client.loop_stop()
        self._client.reinitialise()  # closes the sockets that paho wakes its thread with

    def _connect(self, version: Literal["5", "3.1.1"]) -> None:
        self.protocol = version
        client = self._client = _client(self._access, version, self._sink)
        client.on_socket_open = _send_at_once
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        while not self.answers.empty():
            self.answers.get_nowait()
        try:
            client.connect(self._access.host, self._access.port, self._access.keepalive_s)
        except (OSError, ValueError) as error:
            self.close()
            raise self._unreachable(error) from error
        client.loop_start()
        try:
            self._welcome(self.answers.get(timeout=self._access.timeout_s))
        except queue.Empty:
            self.close()
            raise self._error(SinkUnavailable, "the broker does not answer") from None
        except (SinkError, _OldBroker):
            self.close()
            raise

    def _welcome(self, answer: Answer) -> None:
        if answer.mid == LOST or not answer.taken:
            error = self._error(Rejected if answer.denied else SinkUnavailable, answer.why)
            if self.protocol == "5" and (
                answer.code == _UNSUPPORTED_VERSION or (answer.mid == LOST and not answer.denied)
            ):
                raise _OldBroker(error)
            raise error

    def _unreachable(self, error: Exception) -> SinkError:
        refused = isinstance(error, ssl.SSLCertVerificationError)
        return self._error(Rejected if refused else SinkUnavailable, str(error))

    def _error(self, kind: type[SinkError], why: str) -> SinkError:
        return kind(self._sink, f"{self._access}: {why}")

    def _properties(self, publication: Publication) -> Any:
        """A paho `Properties`, which it does not type."""
        message = publication.message
        if self.protocol != "5" or message is None:
            return None
        properties = _Properties(PacketTypes.PUBLISH)
        properties.PayloadFormatIndicator = 1
        properties.ContentType = "application/json"
        properties.UserProperty = [
            ("schema", SCHEMA), ("kind", message.kind), ("message_id", message.message_id)
        ]  # fmt: skip
        return properties

    def _on_connect(
        self, client: Client, data: Any, flags: Any, code: ReasonCode, properties: Any
    ) -> None:
        self.window = getattr(properties, "ReceiveMaximum", self.window)
        self.largest_bytes = getattr(properties, "MaximumPacketSize", None)
        self.answers.put(Answer(0, code.value, str(code)))

    def _on_publish(
        self, client: Client, data: Any, mid: int, code: ReasonCode, properties: Any
    ) -> None:
        self.answers.put(Answer(mid, code.value, str(code)))

    def _on_disconnect(
        self, client: Client, data: Any, flags: Any, code: ReasonCode, properties: Any
    ) -> None:
        self.answers.put(Answer(LOST, code.value, f"the connection is gone: {code}"))


class _OldBroker(Exception):
    """The broker does not speak MQTT 5, or hides it by hanging up."""

    def __init__(self, told: SinkError) -> None:
        super().__init__(str(told))
        self.told = told


def _send_at_once(client: Client, data: Any, connected: Any) -> None:
    """Else a small packet may wait 40 ms for the acknowledgement of the one before."""
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _TidySocket(ssl.SSLSocket):
    """Closes itself when it refuses a certificate: paho forgets it then."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _client(access: Access, version: str, sink: str) -> Client:
    protocol = MQTTProtocolVersion.MQTTv5 if version == "5" else MQTTProtocolVersion.MQTTv311
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=access.client_id,
        clean_session=True if version == "3.1.1" else None,
        protocol=protocol,
        reconnect_on_failure=False,
    )
    client.connect_timeout = access.timeout_s
    client.max_inflight_messages = 65_535
    if access.user is not None or access.password is not None:
        client.username_pw_set(access.user or "", access.password)
    if access.tls is not None:
        context = access.tls.context(sink)
        context.sslsocket_class = _TidySocket
        client.tls_set_context(context)
    if access.presence is not None:
        client.will_set(access.presence, OFFLINE, qos=1, retain=True)
    return client
