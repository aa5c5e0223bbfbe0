"""The errors of kafka-python, as kinds of trouble."""

import os
import re

from kafka import errors as kafka_errors

from sinks.kafka.client import TroubleKind

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


def kind_of(error: BaseException) -> TroubleKind:
    """What the error of a call, or of a record, means for the client."""
    if isinstance(error, _BAD_MESSAGE):
        return "bad_message"
    if isinstance(error, (*_REFUSED, ValueError)) or _BAD_CERTIFICATE in str(error):
        return "refused"
    if isinstance(error, _FENCED):
        return "fenced"
    if isinstance(error, (kafka_errors.RetriableError, OSError)):
        return "away"
    return "broken"


def words_of(error: BaseException) -> str:
    """The text of the error, in plain words where kafka-python has `111 ECONNREFUSED`."""
    if not isinstance(error, kafka_errors.KafkaConnectionError):
        return str(error)
    text = str(error.args[0]) if error.args else "the connection broke"
    found = re.fullmatch(r"(\d+) E[A-Z]+", text)
    return f"cannot connect: {os.strerror(int(found[1]))}" if found else text
