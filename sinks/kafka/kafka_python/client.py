"""kafka-python as a client of the sink."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, KafkaTimeoutError

from sinks.kafka.client import Creation, Record, Settings, Topic, Trouble
from sinks.kafka.kafka_python.connect import PatientProducer, connect
from sinks.kafka.kafka_python.errors import kind_of, words_of
from sinks.kafka.kafka_python.log import ClientLog
from sinks.kafka.kafka_python.options import check_codec, producer_options, security

_SEND_BLOCKS_MS = 500


class KafkaPythonClient:
    """A `Client`. Its producer's network thread is named after the client id."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._heard = ClientLog(
            settings.client_id,
            settings.access.hide,
            is_refusal=lambda error: kind_of(error) == "refused",
            logs_in=settings.access.username is not None,
        )
        self._security = security(settings)
        self._producer: Any = None
        self._commit: Any = None
        self._has_transaction = False
        self._failed_batch: Any = None
        check_codec(settings)

    @property
    def last_error(self) -> str | None:
        return words_of(self._heard.error) if self._heard.error else None

    def forget_error(self) -> None:
        self._heard.error = None

    def start(self, timeout_s: float, batch_bytes: int) -> None:
        settings = self._settings
        with self._told(), self._heard.opening():
            self._producer = connect(
                PatientProducer,
                settings,
                self._security,
                timeout_s,
                max_block_ms=int(timeout_s * 1000),
                **producer_options(settings, batch_bytes),
            )

    def describe(self, topics: Sequence[str], timeout_s: float) -> Mapping[str, Topic]:
        with self._admin(timeout_s) as admin:
            found = {topic["name"]: topic for topic in admin.describe_topics(list(topics))}
            return {name: self._topic(admin, name, facts) for name, facts in found.items()}

    def create(self, topics: Sequence[str], how: Creation, timeout_s: float) -> None:
        options = {
            "num_partitions": how.partitions or -1,
            "replication_factor": how.replication_factor or -1,
        }
        with self._admin(timeout_s) as admin, suppress(kafka_errors.TopicAlreadyExistsError):
            admin.create_topics(dict.fromkeys(topics, options), timeout_ms=int(timeout_s * 1000))

    def begin(self, topics: Sequence[str], timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        with self._told(), self._heard.opening():
            for topic in topics:
                self._block_for(deadline_s - time.monotonic())
                self._producer.partitions_for(topic)
            if self._settings.transactional_id is not None:
                self._block_for(deadline_s - time.monotonic())
                self._producer.init_transactions()
        self._producer.config["max_block_ms"] = _SEND_BLOCKS_MS

    def open_transaction(self) -> None:
        with self._told():
            self._producer.begin_transaction()
        self._has_transaction = True

    def commit(self, timeout_s: float) -> None:
        with self._told():
            if self._commit is None:
                self._commit = self._producer.begin_commit()
            if not self._commit.wait(timeout_ms=timeout_s * 1000):
                raise Trouble("away", f"not committed after {timeout_s:g} s")
        self._commit, self._has_transaction = None, False

    def send(self, record: Record) -> None:
        with self._told():
            future = self._producer.send(
                record.topic, key=record.key, value=record.value, headers=record.headers
            )
        record.delivery = future
        future.add_errback(self._note_failure, future)

    def _note_failure(self, future: Any, _error: BaseException) -> None:
        if self._failed_batch is None:
            self._failed_batch = future._produce_future

    def is_done(self, record: Record) -> bool:
        return bool(record.delivery.is_done)

    def trouble_of(self, record: Record) -> Trouble | None:
        error = record.delivery.exception
        if error is None:
            return None
        trouble = self._trouble(error)
        # kafka-python gives everything on its way the error of the one batch that failed.
        is_culprit = record.delivery._produce_future is self._failed_batch
        if trouble.kind == "away" or (trouble.kind == "bad_message" and not is_culprit):
            return Trouble("broken", str(trouble))
        return trouble

    def wait(self, record: Record | None, timeout_s: float) -> None:
        if record is None or not timeout_s:
            return
        with suppress(KafkaError):  # `trouble_of` tells it.
            record.delivery.get(timeout=timeout_s)

    def close(self, grace_s: float) -> None:
        if self._producer is not None:
            with suppress(KafkaError):  # The next producer of this id ends it, or its timeout.
                if self._has_transaction and self._commit is None and grace_s:
                    self._producer.begin_abort().wait(timeout_ms=grace_s * 500)
            self._producer.close(timeout=grace_s)
            self._producer = None
        self._heard.detach()

    def _block_for(self, left_s: float) -> None:
        self._producer.config["max_block_ms"] = int(max(left_s, 0.1) * 1000)

    @contextmanager
    def _admin(self, timeout_s: float) -> Iterator[Any]:
        with self._told(), self._heard.opening():
            admin = connect(
                KafkaAdminClient,
                self._settings,
                self._security,
                timeout_s,
                client_id=f"{self._settings.client_id}-admin",
                request_timeout_ms=int(timeout_s * 1000),
            )
            try:
                yield admin
            finally:
                admin.close()

    def _topic(self, admin: Any, name: str, facts: Mapping[str, Any]) -> Topic:
        error = kafka_errors.for_code(facts["error_code"])
        if error is kafka_errors.UnknownTopicOrPartitionError:
            return Topic(exists=False, may_write=False)
        if error is kafka_errors.TopicAuthorizationFailedError:
            return Topic(exists=True, may_write=False)
        if error is not kafka_errors.NoError:
            raise error(f"topic {name!r}")
        rights = facts.get("authorized_operations")
        limit = None
        with suppress(KafkaError, KeyError):  # It may not be ours to know.
            wanted = ConfigResource(ConfigResourceType.TOPIC, name, {"max.message.bytes": None})
            told = admin.describe_configs([wanted], config_filter="all")
            limit = int(told["topic"][name]["max.message.bytes"]["value"])
        return Topic(True, not rights or "WRITE" in rights, limit)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what kafka-python raises into `Trouble`."""
        try:
            yield
        except (KafkaError, ValueError, OSError, RuntimeError) as error:
            raise self._trouble(error) from error

    def _trouble(self, error: BaseException) -> Trouble:
        # A timeout says less than what the client met on the way to it.
        met = self._heard.error if isinstance(error, KafkaTimeoutError) else None
        cause = met or error
        return Trouble(kind_of(cause), words_of(cause))
