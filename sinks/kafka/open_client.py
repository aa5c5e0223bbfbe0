"""The name of a client to how it is made; its package is imported when it is chosen."""

from collections.abc import Callable
from typing import Literal

from pipeline.core.errors import Rejected
from sinks.kafka.client import Client, Settings

ClientName = Literal["kafka-python", "confluent"]


def client_maker(client: ClientName, settings: Settings) -> Callable[[], Client]:
    """Makes a new client, not connected, at each call. Raises `Rejected` without its package."""
    if client == "kafka-python":
        from sinks.kafka.kafka_python.client import KafkaPythonClient

        return lambda: KafkaPythonClient(settings)
    try:
        from sinks.kafka.librdkafka.client import LibrdkafkaClient
    except ModuleNotFoundError as error:
        why = "client confluent needs confluent-kafka: pip install 'eyrie[confluent]'"
        raise Rejected(settings.sink, why) from error
    return lambda: LibrdkafkaClient(settings)
