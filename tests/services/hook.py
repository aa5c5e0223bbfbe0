"""A webhook receiver: a real HTTP server that keeps what it takes and answers as it is told."""

import http.server
import json
import socket
import ssl
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from tests.services.certificates import Certificate


@dataclass(frozen=True)
class Post:
    """One request, by the order of their coming."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What it holds, of either form."""
        if self.headers["Content-Type"] == "application/json":
            found: list[dict[str, Any]] = json.loads(self.body)
            return found
        return [json.loads(line) for line in self.body.splitlines()]


@dataclass(frozen=True)
class Answer:
    """Status and headers of an answer; no status: hang up without one. What `drips` comes byte by
    byte and has no end."""

    status: int | None = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    drips: Literal["header", "body"] | None = None


class Hook:
    """Answers each POST by the next of `answers`, or else by `judge`; takes those of 2xx."""

    def __init__(
        self, *answers: Answer, judge: Callable[[Post], Answer] | None = None, port: int = 0
    ) -> None:
        self.answers = deque(answers)
        self.judge = judge or (lambda _: Answer())
        self.posts: list[Post] = []
        """All requests."""
        self.taken: list[Post] = []
        """Those that were answered with 2xx."""
        self.released = threading.Event()
        """While it is cleared, no POST is answered."""
        self.released.set()
        self.closed = threading.Event()
        self._server = _Server(("127.0.0.1", port), _handler_for(self))
        self.scheme = "http"

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}/hook/t0ken?key=hunter2"

    @property
    def bodies(self) -> dict[str, list[bytes]]:
        """By stream, every message taken, as it was encoded."""
        found: dict[str, list[bytes]] = {}
        for post in self.taken:
            for message in post.messages:
                body = json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()
                found.setdefault(message["stream_id"], []).append(body)
        return found

    def with_tls(self, shown: Certificate, client_ca: Path | None = None) -> Self:
        """Speak TLS, and with `client_ca` only to who shows a certificate signed by it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(shown.chain, shown.key)
        if client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(client_ca)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.scheme = "https"
        return self

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.released.set()
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that hangs up or refuses our certificate is what the tests are about."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """End the connections that are kept for more requests."""
        for connection in list(self._connections):
            with suppress(OSError):  # it may have ended just now
                connection.shutdown(socket.SHUT_RDWR)


def _handler_for(hook: Hook) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            """No line on standard error."""

        def do_HEAD(self) -> None:
            answer = hook.answers[0] if hook.answers else Answer()
            self._answer(answer if answer.status == 308 else Answer(405))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            post = Post(dict(self.headers), body)
            hook.posts.append(post)
            hook.released.wait()
            answer = hook.answers.popleft() if hook.answers else hook.judge(post)
            if answer.status is not None and 200 <= answer.status < 300:
                hook.taken.append(post)
            self._answer(answer)

        def _answer(self, answer: Answer) -> None:
            if answer.status is None:
                self.close_connection = True
                return
            try:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if answer.drips == "header":
                    self.flush_headers()
                    self.wfile.write(b"X-Drips: ")
                else:
                    self.send_header("Content-Length", "1000000" if answer.drips else "0")
                    self.end_headers()
                while answer.drips and not hook.closed.wait(0.02):
                    self.wfile.write(b".")
            except OSError:  # the sender has gone
                self.close_connection = True

    return Handler
