"""Redis, alone, behind Sentinels or as a cluster: streams, publish/subscribe, last states.

Nothing is imported here: the configuration reads addresses by `sinks.redis.address`, and must not
load the client for it.
"""
