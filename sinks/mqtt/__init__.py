"""MQTT. Needs paho-mqtt: pip install 'eyrie[mqtt]'."""

from sinks.mqtt.connection import Access
from sinks.mqtt.sink import MqttSink

__all__ = ["Access", "MqttSink"]
