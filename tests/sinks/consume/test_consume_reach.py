"""Why a server cannot be reached."""

import socket

import pytest

from sinks.consume.reach import unreachable
from tests.services.servers import free_port


def test_one_that_listens_is_enough() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        servers = [f"127.0.0.1:{free_port()}", "nowhere.invalid", f"127.0.0.1:{port}"]
        assert unreachable(servers, 1.0) is None


@pytest.mark.parametrize(
    ("server", "why"),
    [
        ("nowhere.invalid", "Name or service not known"),
        ("nowhere.invalid:9092", "Name or service not known"),
        ("127.0.0.1:99999", "Port out of range 0-65535"),
        ("127.0.0.1:ninety", "Port could not be cast to integer value as 'ninety'"),
        ("[::1", "Invalid IPv6 URL"),
    ],
)
def test_each_that_does_not_is_named(server: str, why: str) -> None:
    port = free_port()
    told = unreachable([f"127.0.0.1:{port}", server], 1.0)
    assert told == f"127.0.0.1:{port}: Connection refused; {server}: {why}"
