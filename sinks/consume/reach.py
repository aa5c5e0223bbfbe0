"""The reason why a server cannot be reached, in the words of the system."""

import socket
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

_KAFKA_PORT: Final = 9092


def unreachable(servers: Iterable[str], timeout_s: float) -> str | None:
    """The reason why none of `HOST[:PORT]` takes a connection, for each; None: one does, and it is
    closed at once. Blocks for at most `timeout_s` an address, and while its name is looked up."""
    reasons = []
    for server in servers:
        try:
            url = urlsplit(f"//{server}")
            host, port = url.hostname or "", url.port or _KAFKA_PORT
            socket.create_connection((host, port), timeout_s).close()
        except (OSError, ValueError) as error:
            told = getattr(error, "strerror", None) or str(error) or type(error).__name__
            reasons.append(f"{server}: {told}")
        else:
            return None
    return "; ".join(reasons)
