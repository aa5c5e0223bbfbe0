"""The time for a whole answer: httpx limits single reads, which a receiver that sends a byte at a
time never runs into."""

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any


class AnswerLimit:
    """Hangs up on an answer that has not come as a whole `limit_s` after it was waited for.

    A context of one request after another, each with `trace` as httpx's extension of that name. The
    one whose answer takes longer finds its connection broken, and `is_over` says why.
    """

    def __init__(self, limit_s: float) -> None:
        self.is_over = False
        self._limit_s = limit_s
        self._socket: socket.socket | None = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> None:
        self.is_over = False

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cancel()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Hear of a step of the request. The thread that makes it."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")
        elif event.endswith("receive_response_headers.started"):
            self._cancel()  # of a proxy's answer
            self._timer = threading.Timer(self._limit_s, self._hang_up)
            self._timer.daemon = True
            self._timer.start()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hang_up(self) -> None:
        self.is_over = True
        if self._socket is not None:
            with suppress(OSError):  # it may be closed already
                # of TCP alone: TLS is in the hands of the thread that reads
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
