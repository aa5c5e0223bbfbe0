"""Readers out of addresses. A client is imported when an address asks for it."""

from sinks.consume.address import Address, FileAddress, KafkaAddress, StreamAddress
from sinks.consume.base import Reader, Reading


def make_reader(address: Address, reading: Reading) -> Reader:
    """Make the reader of an address; nothing is opened."""
    match address:
        case KafkaAddress():
            from sinks.consume.kafka import KafkaReader

            return KafkaReader(address, reading)
        case StreamAddress():
            from sinks.consume.redis import RedisReader

            return RedisReader(address, reading)
        case FileAddress():
            from sinks.consume.files import FileReader

            return FileReader(address, reading)
