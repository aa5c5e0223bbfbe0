"""The settings of a sink in librdkafka's words."""

from typing import Any

from sinks.kafka.client import FRAMING_BYTES, Settings


def security(settings: Settings) -> dict[str, Any]:
    """librdkafka's words for how to log in and whether to encrypt."""
    access = settings.access
    options: dict[str, Any] = {"security.protocol": access.protocol}
    if access.username is not None:
        options |= {
            "sasl.mechanism": access.mechanism,
            "sasl.username": access.username,
            "sasl.password": access.password,
        }
    if access.tls is None:
        return options
    access.tls.context(settings.sink)  # For its errors: they name the file.
    options["enable.ssl.certificate.verification"] = access.tls.verify
    options["ssl.endpoint.identification.algorithm"] = "https" if access.tls.verify else "none"
    files = {
        "ssl.ca.location": access.tls.ca,
        "ssl.certificate.location": access.tls.cert,
        "ssl.key.location": access.tls.key,
    }
    return options | {key: str(path) for key, path in files.items() if path is not None}


def producer_options(settings: Settings, batch_bytes: int) -> dict[str, Any]:
    """The options of a producer that is idempotent and keeps what it has not delivered for ever."""
    tuning = settings.tuning
    largest = tuning.max_message_bytes + FRAMING_BYTES
    options: dict[str, Any] = {
        "enable.idempotence": True,
        "acks": "all",
        "max.in.flight": 1,
        "message.timeout.ms": 0,
        "compression.type": tuning.compression,
        "linger.ms": tuning.linger_ms,
        "batch.size": batch_bytes,
        "message.max.bytes": max(largest, batch_bytes),
        "queue.buffering.max.messages": 0,
        "queue.buffering.max.kbytes": 2**31 - 1,
        "partitioner": "murmur2_random",
        "allow.auto.create.topics": False,
    }
    if settings.transactional_id is None:
        options["enable.gapless.guarantee"] = True
    else:
        options["transactional.id"] = settings.transactional_id
        options["transaction.timeout.ms"] = int(tuning.transaction_timeout_s * 1000)
    return options
