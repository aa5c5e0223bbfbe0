"""kafka-python as a client of the sink."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.codec import has_lz4, has_zstd
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.net.compat import KafkaNetClient

from pipeline.core.errors import Rejected
from sinks.kafka.client import (
    FRAMING_BYTES,
    Creation,
    Record,
    Settings,
    Topic,
    Trouble,
    TroubleKind,
)
from sinks.kafka.client_log import ClientLog

_FOR_EVER_MS = 2**31 - 1
_SEND_BLOCKS_MS = 500
_LARGEST_REQUEST_BYTES = 2**20
_CODECS = {"lz4": (has_lz4, "lz4"), "zstd": (has_zstd, "zstandard")}

_BAD_MESSAGE = (
    kafka_errors.InvalidRecordError,
    kafka_errors.InvalidTimestampError,
    kafka_errors.MessageSizeTooLargeError,
    kafka_errors.RecordListTooLargeError,
)
_REFUSED = (
    kafka_errors.AuthorizationError,
    kafka_errors.IllegalSaslStateError,
    kafka_errors.InvalidTopicError,
    kafka_errors.KafkaConfigurationError,
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
    kafka_errors.PolicyViolationError,
    kafka_errors.InvalidReplicationFactorError,
    kafka_errors.InvalidPartitionsError,
    kafka_errors.InvalidTransactionTimeoutError,
)
_FENCED = (kafka_errors.ProducerFencedError, kafka_errors.InvalidProducerEpochError)
_BAD_CERTIFICATE = "CERTIFICATE_VERIFY_FAILED"


class KafkaPythonClient:
    """A `Client`. Its producer's network thread is named after the client id."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._heard = ClientLog(
            settings.client_id,
            settings.access.hide,
            is_refusal=lambda error: _kind(error) == "refused",
            logs_in=settings.access.username is not None,
        )
        self._security = _security(settings)
        self._producer: Any = None
        self._commit: Any = None
        self._has_transaction = False
        self._failed_batch: Any = None
        _check_codec(settings)

    @property
    def last_error(self) -> str | None:
        return str(self._heard.error) if self._heard.error else None

    def forget_error(self) -> None:
        self._heard.error = None

    def start(self, timeout_s: float, batch_bytes: int) -> None:
        settings, tuning = self._settings, self._settings.tuning
        with self._told(), self._heard.opening():
            self._producer = self._made(
                _Producer,
                timeout_s,
                client_id=settings.client_id,
                max_block_ms=int(timeout_s * 1000),
                acks="all",
                enable_idempotence=True,
                transactional_id=settings.transactional_id,
                transaction_timeout_ms=int(tuning.transaction_timeout_s * 1000),
                delivery_timeout_ms=_FOR_EVER_MS,
                allow_auto_create_topics=False,
                metrics_enabled=False,
                compression_type=None if tuning.compression == "none" else tuning.compression,
                linger_ms=tuning.linger_ms,
                batch_size=batch_bytes,
                max_request_size=max(
                    _LARGEST_REQUEST_BYTES, tuning.max_message_bytes + FRAMING_BYTES
                ),
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
            admin = self._made(
                KafkaAdminClient,
                timeout_s,
                client_id=f"{self._settings.client_id}-admin",
                request_timeout_ms=int(timeout_s * 1000),
            )
            try:
                yield admin
            finally:
                admin.close()

    def _made(self, kind: type, timeout_s: float, **options: Any) -> Any:
        clients: list[KafkaNetClient] = []

        def client(**config: Any) -> KafkaNetClient:
            clients.append(KafkaNetClient(**config))
            return clients[0]

        try:
            return kind(
                bootstrap_servers=list(self._settings.servers),
                bootstrap_timeout_ms=int(timeout_s * 1000),
                reconnect_backoff_max_ms=1000,
                kafka_client=client,
                **self._security,
                **options,
            )
        except BaseException:
            # kafka-python leaves its sockets open when it cannot start.
            for opened in clients:
                opened.close()
            raise

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
        return Trouble(_kind(cause), str(cause))


def _kind(error: BaseException) -> TroubleKind:
    if isinstance(error, _BAD_MESSAGE):
        return "bad_message"
    if isinstance(error, (*_REFUSED, ValueError)) or _BAD_CERTIFICATE in str(error):
        return "refused"
    if isinstance(error, _FENCED):
        return "fenced"
    if isinstance(error, (kafka_errors.RetriableError, OSError)):
        return "away"
    return "broken"


class _Producer(KafkaProducer):  # type: ignore[misc]  # kafka-python has no types
    """With a `close` that does not flush, for kafka-python's raises when the broker is dead and
    leaves its thread running; and with a commit that one can wait for, and stop waiting."""

    def flush(self, timeout: float | None = None) -> None:
        """Nothing: the sink waits for its futures itself."""

    def begin_commit(self) -> Any:
        """Ask for the end of the transaction; what is returned has `wait(timeout_ms) -> bool`."""
        return self._woken(self._transaction_manager.begin_commit())

    def begin_abort(self) -> Any:
        """The same for undoing it."""
        return self._woken(self._transaction_manager.begin_abort())

    def _woken(self, result: Any) -> Any:
        self._sender.wakeup()
        return result


def _check_codec(settings: Settings) -> None:
    is_there, package = _CODECS.get(settings.tuning.compression, (None, ""))
    if is_there is not None and not is_there():
        raise Rejected(
            settings.sink,
            f"compression {settings.tuning.compression} needs the package {package}: "
            "pip install 'eyrie[kafka-codecs]', or choose gzip or none",
        )


def _security(settings: Settings) -> dict[str, Any]:
    """kafka-python's words for how to log in and whether to encrypt."""
    access = settings.access
    options: dict[str, Any] = {"security_protocol": access.protocol}
    if access.username is not None:
        options |= {
            "sasl_mechanism": access.mechanism,
            "sasl_plain_username": access.username,
            "sasl_plain_password": access.password,
        }
    if access.tls is not None:
        options["ssl_context"] = access.tls.context(settings.sink)
    return options
