"""MQTT: every message to a topic, and what is to be known of each stream kept by the broker."""

import queue
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote

from pipeline.core.errors import Backpressure, Rejected, SinkError, SinkUnavailable
from sinks.base import Outgoing
from sinks.mqtt.connection import LOST, ONLINE, Access, Answer, Connection, Publication, Qos

_MOST_WAITING: Final = 10_000
_MOST_BREAKS: Final = 5
_STATUSES: Final = frozenset({"stream_status", "end_of_stream"})


class MqttSink:
    """A `Sink` that publishes to an MQTT broker. `flush` waits until the broker has answered for
    every message (PUBACK, or PUBCOMP with `qos` 2; with `qos` 0 until they are sent).

    - `topic` may hold `{stream_id}` and `{kind}`; what a level of a topic may not hold is
      percent-encoded in the id of a stream, `/` too.
    - `status_topic` holds `{stream_id}`: a retained copy of the stream's last `stream_status` or
      `end_of_stream`, for who comes later. None: no copies.
    - `in_flight`: at most so many messages are unanswered, fewer where the broker says so.

    What the broker has not confirmed is kept here, and sent again in order, after the connection
    broke, at the next `write` or `flush`. Each topic so has its messages in order, and after a
    repetition some twice (with `qos` 2 too: a new connection is a new session); consumers drop the
    second by `message_id`. Under a spool that also holds over our own death.

    A message that alone is under way when the connection breaks, five times in a row, is refused
    for good: so brokers refuse what is too large where the protocol has no words for it.

    What does not hold: a broker confirms to have a message, not that anybody got it; what it loses
    by a crash after that is lost (with mosquitto, `persistence` and `autosave_interval` decide).
    With MQTT 3.1.1 a broker cannot say that it refuses a message, and confirms it instead.
    """

    def __init__(
        self,
        access: Access,
        topic: str = "eyrie/{stream_id}/{kind}",
        *,
        status_topic: str | None = "eyrie/{stream_id}/status",
        qos: Qos = 1,
        in_flight: int = 100,
        name: str = "mqtt",
    ) -> None:
        self.name = name
        self.delivered_total = 0
        self._access, self._topic, self._status_topic = access, topic, status_topic
        self._qos, self._most_in_flight = qos, in_flight
        self._connection: Connection | None = None
        self._is_open = False
        self._waiting: deque[Publication] = deque()
        self._in_flight: dict[int, Publication] = {}
        self._doubtful = 0
        """How many of those that wait were under way when the connection broke. They go one by one:
        if one of them was the cause, its refusal is not cut off by the next."""
        self._breaks: dict[str, int] = {}
        self._lost: Answer | None = None
        self._refused: dict[str, str] = {}
        """Why, by message id: refused for ever, and not told yet."""

    def open(self) -> None:
        """See `Sink.open`: with the right to say that we are there, if there is a presence topic.
        What an earlier connection left unconfirmed is forgotten."""
        self.close()
        self._connect()
        self._is_open = True

    def write(self, messages: Sequence[Outgoing]) -> None:
        """See `Sink.write`. Blocks while the window is full, for at most the access' `timeout_s`;
        what is not sent then is sent by a later write or flush."""
        if not self._is_open:
            raise SinkUnavailable(self.name, f"{self._access} is not open")
        if not messages:
            return
        connection = self._connected()
        self._check_sizes(connection, messages)
        self._settle(connection, 0)
        if len(self._waiting) + len(self._in_flight) >= _MOST_WAITING:
            raise Backpressure(self.name, f"{self._access}: the broker is behind", 0.05)
        for message in messages:
            self._waiting.extend(self._publications(message))
        self._send(connection, time.monotonic() + self._access.timeout_s, until_sent=True)

    def flush(self, timeout_s: float) -> None:
        """See `Sink.flush`."""
        if not self._is_open:
            return
        deadline_s = time.monotonic() + timeout_s
        self._send(self._connected(), deadline_s, until_sent=False)
        self._check_connection()
        if self._waiting or self._in_flight:
            left = len(self._waiting) + len(self._in_flight)
            raise SinkUnavailable(self.name, f"{self._access}: {left} are not confirmed yet")
        if self._refused:
            refused, self._refused = self._refused, {}
            why = next(iter(refused.values()))
            raise Rejected(self.name, f"{self._access}: {why}", message_ids=list(refused))

    def close(self) -> None:
        """See `Sink.close`. Says that we left, where the connection is well."""
        connection, self._is_open = self._connection, False
        if connection is not None and self._lost is None:
            connection.say_goodbye()
        self._disconnect()
        self._waiting.clear()
        self._refused.clear()
        self._doubtful = 0

    def _connected(self) -> Connection:
        """The connection. One that is gone is told once, and made anew by the call after that, so
        that two clients of one id do not throw each other out as fast as they can."""
        if self._connection is not None:
            self._settle(self._connection, 0)
            self._check_connection()
        return self._connection or self._connect()

    def _check_connection(self) -> None:
        """Raises what is wrong with it. What is unconfirmed then waits again, before the others."""
        lost = self._lost
        if lost is not None:
            self._disconnect()
            raise self._gone(lost, lost.why)

    def _gone(self, lost: Answer, why: str) -> SinkError:
        kind = Rejected if lost.denied else SinkUnavailable
        return kind(self.name, f"{self._access}: {why}")

    def _connect(self) -> Connection:
        self._lost = None
        connection = self._connection = Connection(self._access, self.name)
        if self._access.presence is not None:
            self._greet(connection, Publication(self._access.presence, ONLINE, 1, retain=True))
        return connection

    def _greet(self, connection: Connection, greeting: Publication) -> None:
        """Say that we are there, and see that we may."""
        self._in_flight[connection.publish(greeting)] = greeting
        self._settle(connection, self._access.timeout_s)
        lost = self._lost
        if lost is None and self._in_flight:
            lost = Answer(LOST, 0, "the broker does not answer")
        if lost is not None:
            self._in_flight.clear()
            self._disconnect()
            raise self._gone(lost, f"topic {greeting.topic!r}: {lost.why}")

    def _disconnect(self) -> None:
        self._suspect()
        self._doubtful = max(self._doubtful, len(self._in_flight))
        self._waiting.extendleft(reversed(self._in_flight.values()))
        self._in_flight.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _suspect(self) -> None:
        """A broker without words for it refuses a message by hanging up, each time it comes."""
        lone = next(iter(self._in_flight.values())) if len(self._in_flight) == 1 else None
        if self._lost is None or self._lost.denied or lone is None or lone.message is None:
            return
        message_id = lone.message.message_id
        self._breaks = {message_id: self._breaks.get(message_id, 0) + 1}
        if self._breaks[message_id] >= _MOST_BREAKS:
            self._in_flight.clear()
            self._refuse(lone, f"the broker hung up on it {_MOST_BREAKS} times")

    def _send(self, connection: Connection, deadline_s: float, *, until_sent: bool) -> None:
        """Until all are sent, or all are confirmed; or the time is over or the connection gone."""
        widest = min(self._most_in_flight, connection.window)
        while self._lost is None:
            while self._waiting and len(self._in_flight) < (1 if self._doubtful else widest):
                publication = self._waiting.popleft()
                if self._fits(connection, publication):
                    self._in_flight[connection.publish(publication)] = publication
            if not self._waiting and (until_sent or not self._in_flight):
                return
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return
            self._settle(connection, left_s)

    def _settle(self, connection: Connection, wait_s: float) -> None:
        """Take all answers that are there; wait for the first."""
        try:
            answer = connection.answers.get(timeout=wait_s) if wait_s else None
            while True:
                if answer is not None:
                    self._take(answer)
                answer = connection.answers.get_nowait()
        except queue.Empty:
            return

    def _take(self, answer: Answer) -> None:
        publication = self._in_flight.get(answer.mid)
        if answer.mid == LOST:
            self._lost = self._lost or answer
        elif publication is None:
            return
        elif answer.taken or answer.for_ever:
            del self._in_flight[answer.mid]
            self._doubtful = max(0, self._doubtful - 1)
            if answer.for_ever:
                self._refuse(publication, answer.why)
            elif publication.message is not None and not publication.retain:
                self.delivered_total += 1
        else:
            # A new connection sends it again, in its place.
            self._lost = Answer(LOST, answer.code, f"topic {publication.topic!r}: {answer.why}")

    def _refuse(self, publication: Publication, why: str) -> None:
        if publication.message is not None:
            told = f"topic {publication.topic!r}: {why}"
            self._refused.setdefault(publication.message.message_id, told)

    def _fits(self, connection: Connection, publication: Publication) -> bool:
        """Whether the broker takes packets of this size; after a reconnect it may be another."""
        largest = connection.largest_bytes
        if largest is None or connection.size_bytes(publication) <= largest:
            return True
        self._refuse(publication, f"too large, the broker takes {largest} bytes")
        self._doubtful = max(0, self._doubtful - 1)
        return False

    def _check_sizes(self, connection: Connection, messages: Sequence[Outgoing]) -> None:
        largest = connection.largest_bytes
        if largest is None:
            return
        too_large = [
            message.message_id
            for message in messages
            if any(connection.size_bytes(each) > largest for each in self._publications(message))
        ]
        if too_large:
            why = f"{self._access}: too large, the broker takes {largest} bytes"
            raise Rejected(self.name, why, message_ids=too_large)

    def _publications(self, message: Outgoing) -> Iterator[Publication]:
        stream_id = quote(message.key, safe="!$&'()*,-.:;=@_~ ")
        topic = self._topic.replace("{kind}", message.kind).replace("{stream_id}", stream_id)
        yield Publication(topic, message.body, self._qos, retain=False, message=message)
        if self._status_topic is not None and message.kind in _STATUSES:
            kept = self._status_topic.replace("{stream_id}", stream_id)
            yield Publication(kept, message.body, self._qos, retain=True, message=message)
