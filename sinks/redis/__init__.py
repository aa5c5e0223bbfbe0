"""Redis, alone, behind Sentinels or as a cluster: streams, publish/subscribe, last states."""

from sinks.redis.address import RedisAddress
from sinks.redis.append import Trim
from sinks.redis.client import Connected, Login, connect
from sinks.redis.sink import RedisSink

__all__ = ["Connected", "Login", "RedisAddress", "RedisSink", "Trim", "connect"]
