"""The errors of librdkafka, as kinds of trouble."""

from confluent_kafka import KafkaError

from sinks.kafka.client import TroubleKind

_BAD_MESSAGE = {
    KafkaError.INVALID_MSG_SIZE,
    KafkaError.INVALID_RECORD,
    KafkaError.INVALID_TIMESTAMP,
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE,
}
_REFUSED = {
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.ILLEGAL_SASL_STATE,
    KafkaError.INVALID_PARTITIONS,
    KafkaError.INVALID_REPLICATION_FACTOR,
    KafkaError.INVALID_TRANSACTION_TIMEOUT,
    KafkaError.POLICY_VIOLATION,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.UNSUPPORTED_SASL_MECHANISM,
    KafkaError._AUTHENTICATION,
    KafkaError._INVALID_ARG,
}
_FENCED = {KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError._FENCED}
_AWAY = {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._QUEUE_FULL,
    KafkaError._RESOLVE,
    KafkaError._SSL,
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError._TRANSPORT,
}
_BAD_CERTIFICATE = "certificate verify failed"


def kind_of(error: KafkaError) -> TroubleKind:
    """What the error of a call, or of a record, means for the client."""
    code = error.code()
    if code in _REFUSED or _BAD_CERTIFICATE in error.str():
        return "refused"
    if code in _BAD_MESSAGE:
        return "bad_message"
    if code in _FENCED:
        return "fenced"
    if error.fatal() or error.txn_requires_abort():
        return "broken"
    return "away" if code in _AWAY or error.retriable() else "broken"
