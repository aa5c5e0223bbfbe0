"""Reading Kafka topics, with a consumer group or without one."""

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import (
    AuthorizationError,
    CommitFailedError,
    IllegalSaslStateError,
    InvalidTopicError,
    KafkaConfigurationError,
    KafkaError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)
from kafka.structs import OffsetAndMetadata

from pipeline.core.log import get_logger, redact
from sinks.consume.address import KafkaAddress
from sinks.consume.base import ConsumeError, ConsumeUnavailable, Reading, Record
from sinks.consume.reach import unreachable

log = get_logger(__name__)

_REFUSED = (
    AuthorizationError,
    IllegalSaslStateError,
    InvalidTopicError,
    KafkaConfigurationError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)
_MOST_RECORDS = 500
_SLOWEST_BATCH_MS = 1_800_000
_REACH_S = 3.0
_SILENT_S = 10.0


class KafkaReader:
    """A `Reader` over kafka-python; committed messages only, where transactions are used.

    With a group, partitions are shared among its members, and the place is committed by
    `acknowledge`. Half an hour may pass between two reads before the group takes a member for dead.

    kafka-python would wait out an outage by itself, and say nothing: so a broker that gives nothing
    is asked now and then whether it is there.
    """

    def __init__(self, address: KafkaAddress, reading: Reading) -> None:
        self.where = f"kafka://{','.join(address.servers)}/{','.join(address.topics)}"
        self._address, self._reading = address, reading
        self._consumer: Any = None
        self._left: dict[TopicPartition, int] = {}
        """End of each partition at `open` that is not reached yet."""
        self._places: dict[TopicPartition, int] = {}
        """Without a group, where reading goes on after another `open`."""
        self._parts: list[TopicPartition] = []
        self._heard_s = 0.0

    def open(self) -> None:
        """See `Reader.open`. Raises `ConsumeError` for a topic that is not there."""
        if self._reading.group is not None and isinstance(self._reading.begin, datetime):
            raise ConsumeError(
                self.where, "a Kafka group begins at oldest or newest, not at a time"
            )
        _hide_wire_dumps()
        # kafka-python tries for all of its time, and does not say why it failed.
        why = unreachable(self._address.servers, min(_REACH_S, self._reading.timeout_s))
        if why is not None:
            raise ConsumeUnavailable(self.where, why)
        with self._told():
            self._consumer = KafkaConsumer(**self._options())
            deadline_s = time.monotonic() + self._reading.timeout_s
            parts = [part for topic in self._address.topics for part in self._parts_of(topic)]
            left_ms = max(1, int((deadline_s - time.monotonic()) * 1000))
            starts = self._consumer.beginning_offsets(parts, timeout_ms=left_ms)
            ends = self._consumer.end_offsets(parts, timeout_ms=left_ms)
            if self._reading.group is None:
                self._consumer.assign(parts)
                self._seek(starts, ends)
            else:
                self._consumer.subscribe(list(self._address.topics))
            reached = self._places if self._reading.group is None else starts
            self._left = {part: end for part, end in ends.items() if end > reached[part]}
            self._parts, self._heard_s = parts, time.monotonic()

    def read(self, within_s: float) -> list[Record]:
        with self._told():
            polled = self._opened().poll(int(within_s * 1000), max_records=_MOST_RECORDS)
            self._listen(bool(polled))
        records: list[Record] = []
        for part, batch in polled.items():
            source = f"{part.topic}/{part.partition}"
            records += [Record(got.value or b"", source, got.offset) for got in batch]
            self._places[part] = batch[-1].offset + 1
            if batch[-1].offset + 1 >= self._left.get(part, 0):
                self._left.pop(part, None)
        if not polled and self._left:
            self._pass_markers()
        return records

    @property
    def exhausted(self) -> bool:
        """See `Reader.exhausted`; with a group, of the partitions that it gave to this member."""
        if self._reading.group is None:
            return not self._left
        given = set() if self._consumer is None else self._consumer.assignment()
        return bool(given) and given.isdisjoint(self._left)

    def acknowledge(self, records: Iterable[Record]) -> None:
        if self._reading.group is None:
            return
        offsets: dict[TopicPartition, OffsetAndMetadata] = {}
        for record in records:
            topic, _, number = record.source.rpartition("/")
            following = int(record.offset) + 1
            offsets[TopicPartition(topic, int(number))] = OffsetAndMetadata(following, "", -1)
        with self._told():
            try:
                self._opened().commit(offsets, timeout_ms=int(self._reading.timeout_s * 1000))
            except CommitFailedError:
                # Another member has the partitions now, and reads these again.
                log.warning("%s: the group has moved on, its place was not kept", self.where)

    def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close(autocommit=False, timeout_ms=1000)

    def _opened(self) -> Any:
        if self._consumer is None:
            raise ConsumeUnavailable(self.where, "is not open")
        return self._consumer

    def _pass_markers(self) -> None:
        """The end may be a transaction's marker, which is no record."""
        for part in set(self._left) & self._consumer.assignment():
            if self._consumer.position(part, timeout_ms=1000) >= self._left[part]:
                del self._left[part]

    def _listen(self, heard: bool) -> None:
        """Raises `KafkaError` where nothing was heard for a while, and nobody answers."""
        if not heard:
            if time.monotonic() - self._heard_s < _SILENT_S:
                return
            timeout_ms = int(self._reading.timeout_s * 1000)
            self._consumer.end_offsets(self._parts, timeout_ms=timeout_ms)
        self._heard_s = time.monotonic()

    def _parts_of(self, topic: str) -> list[TopicPartition]:
        numbers = self._consumer.partitions_for_topic(topic)
        if not numbers:
            raise ConsumeError(self.where, f"there is no topic {topic!r}; correct the name")
        return [TopicPartition(topic, number) for number in sorted(numbers)]

    def _seek(self, starts: dict[TopicPartition, int], ends: dict[TopicPartition, int]) -> None:
        """To where reading was, else to where it begins; a partition that came meanwhile is new."""
        begin = self._reading.begin
        first = starts if begin == "oldest" or self._places else ends
        if isinstance(begin, datetime):
            moment_ms = int(begin.timestamp() * 1000)
            found = self._consumer.offsets_for_times(dict.fromkeys(ends, moment_ms))
            first = ends | {part: at.offset for part, at in found.items() if at is not None}
        self._places = first | self._places
        for part in first:
            self._consumer.seek(part, max(self._places[part], starts[part]))

    def _options(self) -> dict[str, Any]:
        address, timeout_ms = self._address, int(self._reading.timeout_s * 1000)
        password = self._reading.password or address.password
        login = {
            "sasl_mechanism": address.mechanism,
            "sasl_plain_username": address.user,
            "sasl_plain_password": password,
        }
        protocol = "PLAINTEXT" if address.user is None else "SASL_PLAINTEXT"
        return {
            "bootstrap_servers": list(address.servers),
            "client_id": "eyrie-consume",
            "group_id": self._reading.group,
            "enable_auto_commit": False,
            "allow_auto_create_topics": False,
            "auto_offset_reset": "earliest" if self._reading.begin == "oldest" else "latest",
            "isolation_level": "read_committed",
            "bootstrap_timeout_ms": timeout_ms,
            "max_poll_interval_ms": _SLOWEST_BATCH_MS,
            "reconnect_backoff_max_ms": 2000,
            "security_protocol": protocol.replace("PLAINTEXT", "SSL") if address.tls else protocol,
            "ssl_cafile": address.ca,
            "metrics_enabled": False,
            # In plain Python 0.1 ms a kilobyte; the broker checks it when it takes a batch.
            "check_crcs": False,
            **(login if address.user is not None else {}),
        }

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what kafka-python raises into what a reader raises."""
        try:
            yield
        except (KafkaError, OSError, ValueError) as error:
            why = _why(error)
            refused = isinstance(error, (*_REFUSED, ValueError))
            raise (ConsumeError if refused else ConsumeUnavailable)(self.where, why) from error


def _why(error: Exception) -> str:
    text = redact(" ".join(str(error).split()))[:300] or type(error).__name__
    if "Unable to bootstrap" in text:
        return (
            f"something listens there, but no Kafka broker answers (TLS, or a wrong port?): {text}"
        )
    return text


def _hide_wire_dumps() -> None:
    """kafka-python logs what it sends at DEBUG, passwords in clear."""
    logger = logging.getLogger("kafka")
    if logger.getEffectiveLevel() < logging.INFO:
        logger.setLevel(logging.INFO)
