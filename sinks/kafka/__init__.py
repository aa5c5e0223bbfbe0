"""Apache Kafka, by kafka-python or librdkafka."""

from sinks.kafka.client import Access, Creation, Tuning
from sinks.kafka.record import Encoding
from sinks.kafka.sink import KafkaSink

__all__ = ["Access", "Creation", "Encoding", "KafkaSink", "Tuning"]
