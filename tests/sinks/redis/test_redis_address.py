"""Addresses of Redis, and keys that must lie in one slot."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis.crc import key_slot

from sinks.redis.address import RedisAddress
from sinks.redis.append import has_tag, writers_key

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://h", RedisAddress("single", (("h", 6379),))),
        ("redis://", RedisAddress("single", (("localhost", 6379),))),
        ("redis://h:1/2", RedisAddress("single", (("h", 1),), db=2)),
        ("rediss://h", RedisAddress("single", (("h", 6379),), tls=True)),
        ("redis://[::1]:1", RedisAddress("single", (("::1", 1),))),
        ("redis://u:p%40@h", RedisAddress("single", (("h", 6379),), user="u", password="p@")),
        ("redis://:p@h", RedisAddress("single", (("h", 6379),), password="p")),
        ("unix:///run/r.sock?db=2", RedisAddress("single", (), path="/run/r.sock", db=2)),
        (
            "redis+sentinel://a,b:1/main/3",
            RedisAddress("sentinel", (("a", 26379), ("b", 1)), service="main", db=3),
        ),
        (
            "rediss+sentinel://u:p@[::1]/main",
            RedisAddress(
                "sentinel", (("::1", 26379),), service="main", tls=True, user="u", password="p"
            ),
        ),
        (
            "redis+cluster://u:p@a:7000,b",
            RedisAddress("cluster", (("a", 7000), ("b", 6379)), user="u", password="p"),
        ),
        ("rediss+cluster://a/0", RedisAddress("cluster", (("a", 6379),), tls=True)),
    ],
)
def test_addresses(url: str, expected: RedisAddress) -> None:
    assert RedisAddress.parse(url) == expected


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"kafka://u:{SECRET}@h", "scheme"),
        (f"redis+ring://u:{SECRET}@h", "scheme"),
        (f"rediss+unix://u:{SECRET}@h", "scheme"),
        (f"redis://u:{SECRET}@[::1/0", "valid host"),
        (f"redis://u:{SECRET}@h:port", "valid host"),
        (f"redis://u:{SECRET}@h:65536", "valid host"),
        (f"redis://u:{SECRET}@h:0", "valid host"),
        (f"redis+cluster://u:{SECRET}@a,,b", "valid host"),
        (f"redis://u:{SECRET}@a,b", "several hosts"),
        (f"redis://u:{SECRET}@h/zero", "the address takes"),
        (f"redis://u:{SECRET}@h/0/1", "the address takes"),
        (f"redis://u:{SECRET}@h/0?db=1", "the address takes"),
        (f"unix://u:{SECRET}@/run/r.sock?x=1", "the address takes"),
        (f"redis+sentinel://u:{SECRET}@h", "lacks the master's name"),
        (f"redis+sentinel://u:{SECRET}@h/main/x", "the address takes"),
        (f"redis+cluster://u:{SECRET}@h/1", "only the database 0"),
    ],
)
def test_what_is_no_address(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as raised:
        RedisAddress.parse(url)
    assert SECRET not in str(raised.value)


def test_an_address_shows_no_secret() -> None:
    address = RedisAddress.parse(f"redis+sentinel://u:{SECRET}@a,b:1/main")
    assert str(address) == "sentinel a:26379,b:1"
    assert SECRET not in repr(address)


keys = st.text(st.sampled_from("ab:{}"), min_size=1)


@given(key=keys)
@example(key="eyrie:detections")
@example(key="{tag}:gate")
@example(key="{}:gate")
@example(key="{{a}}")
def test_writers_lie_in_the_slot_of_their_stream(key: str) -> None:
    """But for keys with braces that are no tag, which a configuration for a cluster refuses."""
    if has_tag(key) or not set("{}") & set(key):
        assert key_slot(writers_key(key).encode()) == key_slot(key.encode())


@given(keys, keys)
def test_writers_of_two_streams_have_two_keys(one: str, other: str) -> None:
    assert (writers_key(one) == writers_key(other)) == (one == other)
