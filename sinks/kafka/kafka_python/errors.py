"""The errors of kafka-python, as kinds of trouble."""

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
