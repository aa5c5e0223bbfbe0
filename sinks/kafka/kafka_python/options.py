"""The settings of a sink in kafka-python's words."""

from typing import Any

from kafka.codec import has_lz4, has_zstd

from pipeline.core.errors import Rejected
from sinks.kafka.client import FRAMING_BYTES, Settings

_FOR_EVER_MS = 2**31 - 1
_LARGEST_REQUEST_BYTES = 2**20
_CODECS = {"lz4": (has_lz4, "lz4"), "zstd": (has_zstd, "zstandard")}


def check_codec(settings: Settings) -> None:
    """Raises `Rejected` without the package for the compression."""
    is_there, package = _CODECS.get(settings.tuning.compression, (None, ""))
    if is_there is not None and not is_there():
        raise Rejected(
            settings.sink,
            f"compression {settings.tuning.compression} needs the package {package}: "
            "pip install 'eyrie[kafka-codecs]', or choose gzip or none",
        )


def security(settings: Settings) -> dict[str, Any]:
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


def producer_options(settings: Settings, batch_bytes: int) -> dict[str, Any]:
    """The options of a producer that is idempotent and keeps what it has not delivered for ever."""
    tuning = settings.tuning
    return {
        "client_id": settings.client_id,
        "acks": "all",
        "enable_idempotence": True,
        "transactional_id": settings.transactional_id,
        "transaction_timeout_ms": int(tuning.transaction_timeout_s * 1000),
        "delivery_timeout_ms": _FOR_EVER_MS,
        "allow_auto_create_topics": False,
        "metrics_enabled": False,
        "compression_type": None if tuning.compression == "none" else tuning.compression,
        "linger_ms": tuning.linger_ms,
        "batch_size": batch_bytes,
        "max_request_size": max(_LARGEST_REQUEST_BYTES, tuning.max_message_bytes + FRAMING_BYTES),
    }
