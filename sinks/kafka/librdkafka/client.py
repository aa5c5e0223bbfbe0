"""librdkafka, by confluent-kafka, as a client of the sink."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # one is not in its types
    AdminClient,
    ConfigResource,
)
from confluent_kafka.cimpl import NewTopic

from pipeline.core.log import get_logger, redact
from sinks.kafka.client import Creation, Record, Settings, Topic, Trouble
from sinks.kafka.librdkafka.errors import kind_of
from sinks.kafka.librdkafka.options import producer_options, security

log = get_logger(__name__)

_LAST_WORDS_S = 0.1
_NO_ANSWER = {KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT}


class _Delivery:
    """What the broker answers for a record; librdkafka calls `answer` in `poll`."""

    __slots__ = ("error", "is_done")

    def __init__(self) -> None:
        self.is_done = False
        self.error: KafkaError | None = None

    def answer(self, error: KafkaError | None, _message: object) -> None:
        self.error = error
        self.is_done = True


class LibrdkafkaClient:
    """A `Client`. Streams get the partition that kafka-python and Java would give them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin: Any = None
        self._producer: Any = None
        self._options: dict[str, Any] = {}
        self._has_transaction = False
        self._common = {
            "bootstrap.servers": ",".join(settings.servers),
            "client.id": settings.client_id,
            "reconnect.backoff.max.ms": 1000,
            "error_cb": self._hear,
            **security(settings),
        }
        self._logger = _logger(settings)
        self._last_error: str | None = None
        self._is_refused = False

    @property
    def last_error(self) -> str | None:
        return self._last_error

    def forget_error(self) -> None:
        self._last_error = None

    def start(self, timeout_s: float, batch_bytes: int) -> None:
        self._options = {**self._common, **producer_options(self._settings, batch_bytes)}
        with self._told():
            self._admin = AdminClient(self._common, logger=self._logger)
            self._reach(timeout_s)

    def describe(self, topics: Sequence[str], timeout_s: float) -> Mapping[str, Topic]:
        with self._told():
            admin = self._admin or AdminClient(self._common, logger=self._logger)
            asked = admin.describe_topics(
                TopicCollection(list(topics)),
                include_authorized_operations=True,
                request_timeout=timeout_s,
            )
            return {name: _topic(admin, name, told, timeout_s) for name, told in asked.items()}

    def create(self, topics: Sequence[str], how: Creation, timeout_s: float) -> None:
        made = [
            NewTopic(topic, how.partitions or -1, how.replication_factor or -1) for topic in topics
        ]
        with self._told():
            for told in self._admin.create_topics(made, request_timeout=timeout_s).values():
                try:
                    told.result()
                except KafkaException as error:
                    if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                        raise

    def begin(self, topics: Sequence[str], timeout_s: float) -> None:
        with self._told():
            self._producer = Producer(self._options, logger=self._logger)
            self._admin = None
            if self._settings.transactional_id is not None:
                self._producer.init_transactions(timeout_s)

    def open_transaction(self) -> None:
        with self._told():
            self._producer.begin_transaction()
        self._has_transaction = True

    def commit(self, timeout_s: float) -> None:
        with self._told():
            self._producer.commit_transaction(timeout_s)
        self._has_transaction = False

    def send(self, record: Record) -> None:
        delivery = _Delivery()
        try:
            self._producer.produce(
                record.topic,
                record.value,
                record.key,
                headers=record.headers,
                on_delivery=delivery.answer,
            )
        except BufferError as error:
            raise Trouble("away", str(error)) from error
        except KafkaException as error:
            raise self._trouble(error.args[0]) from error
        record.delivery = delivery

    def is_done(self, record: Record) -> bool:
        return bool(record.delivery.is_done)

    def trouble_of(self, record: Record) -> Trouble | None:
        error = record.delivery.error
        if error is None:
            return None
        trouble = self._trouble(error)
        return Trouble("broken", str(trouble)) if trouble.kind == "away" else trouble

    def wait(self, record: Record | None, timeout_s: float) -> None:
        with self._told():
            try:
                self._producer.poll(timeout_s)
            except KafkaException:  # It is fatal to the producer: what does it say of the records?
                with suppress(KafkaException):
                    self._producer.poll(_LAST_WORDS_S)
                raise

    def close(self, grace_s: float) -> None:
        self._admin = None
        if self._producer is None:
            return
        producer, self._producer = self._producer, None
        with suppress(KafkaException):  # The next producer of this id ends it, or its timeout.
            if self._has_transaction and grace_s:
                producer.abort_transaction(grace_s)
        with suppress(KafkaException):  # It is given up.
            producer.purge(blocking=False)
            producer.poll(0)

    def _hear(self, error: KafkaError) -> None:
        """librdkafka calls it in `poll`."""
        if self._last_error is not None and (self._is_refused or error.code() in _NO_ANSWER):
            return
        self._is_refused = self._is_refused or kind_of(error) == "refused"
        self._last_error = self._settings.access.hide(error.str())

    def _reach(self, timeout_s: float) -> None:
        """Wait for a broker that lets us in."""
        deadline_s = time.monotonic() + timeout_s
        self._is_refused = False
        while True:
            try:
                self._admin.list_topics(topic="", timeout=0.2)
                return
            except KafkaException as error:
                self._admin.poll(0)
                if self._is_refused or time.monotonic() > deadline_s:
                    raise self._trouble(error.args[0]) from error

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what confluent-kafka raises into `Trouble`."""
        try:
            yield
        except KafkaException as error:
            raise self._trouble(error.args[0]) from error

    def _trouble(self, error: KafkaError) -> Trouble:
        kind, why = kind_of(error), error.str()
        if kind == "away" and self._last_error is not None:
            why = self._last_error
        return Trouble("refused" if kind == "away" and self._is_refused else kind, why)


def _topic(admin: Any, name: str, told: Any, timeout_s: float) -> Topic:
    try:
        rights = told.result().authorized_operations
    except KafkaException as error:
        if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return Topic(exists=False, may_write=False)
        if error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            return Topic(exists=True, may_write=False)
        raise
    limit = None
    with suppress(KafkaException):  # It may not be ours to know.
        wanted = ConfigResource("topic", name)
        asked = admin.describe_configs([wanted], request_timeout=timeout_s)
        limit = int(asked[wanted].result()["max.message.bytes"].value)
    return Topic(True, not rights or "WRITE" in {right.name for right in rights}, limit)


def _logger(settings: Settings) -> logging.Logger:
    """librdkafka's lines, as debug only: errors have their own way."""
    logger = logging.Logger(f"{log.name}.{settings.client_id}")
    logger.addFilter(lambda record: _pass_on(settings, record))
    return logger


def _pass_on(settings: Settings, record: logging.LogRecord) -> bool:
    log.debug("client: %s", settings.access.hide(redact(record.getMessage())))
    return False
