"""A web server with videos, that gives ranges, asks for passwords, and can be told to misbehave."""

import base64
import contextlib
import functools
import http.server
import re
import ssl
import threading
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av

from tests.services.certificates import Certificate

_HALF = 2


class Web:
    """Serves `folder`. `login` is `user:password` that every request must show, percent-decoded.

    With a `certificate` it speaks HTTPS. `cut` names files whose next transfer breaks off half-way.
    While `hold` is set, bodies stop half-way and requests are not answered; the connection stays
    open until it is cleared.
    """

    def __init__(
        self,
        folder: Path,
        login: str | None = None,
        *,
        ranges: bool = True,
        certificate: Certificate | None = None,
    ) -> None:
        self.folder, self.login, self.ranges = folder, login, ranges
        self.cut: set[str] = set()
        self.released = threading.Event()
        self.released.set()
        self.requests: list[str] = []
        """Path and, after a blank, the range of every request."""
        handler = functools.partial(_Handler, self, directory=str(folder))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._scheme = "http" if certificate is None else "https"
        if certificate is not None:
            encrypted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            encrypted.load_cert_chain(certificate.chain, certificate.key)
            # the handshake in the connection's own thread: one that fails must not end the server
            self._server.socket = encrypted.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, web: Web, *args: Any, **more: Any) -> None:
        self._web = web
        super().__init__(*args, **more)

    def handle(self) -> None:
        with contextlib.suppress(ssl.SSLError, ConnectionError):  # a client that does not trust us
            super().handle()

    def log_message(self, *args: Any) -> None:
        """No line on standard error."""

    def do_GET(self) -> None:
        self._web.requests.append(f"{self.path} {self.headers.get('Range', '')}".strip())
        login = self._web.login
        if login is not None:
            shown = f"Basic {base64.b64encode(login.encode()).decode()}"
            if self.headers.get("Authorization") != shown:
                self.send_response(HTTPStatus.UNAUTHORIZED)
                self.send_header("WWW-Authenticate", 'Basic realm="videos"')
                self.end_headers()
                return
        super().do_GET()

    def send_head(self) -> Any:
        path = Path(self.translate_path(self.path))
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not (self._web.ranges and asked and path.is_file()):
            return super().send_head()
        size, first = path.stat().st_size, int(asked[1])
        last = min(int(asked[2] or size - 1), size - 1)
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        file = path.open("rb")
        file.seek(first)
        return file

    def copyfile(self, source: Any, outputfile: Any) -> None:
        data = source.read()
        name = self.path.partition("?")[0].rpartition("/")[2]
        broken = name in self._web.cut
        self._web.cut.discard(name)
        try:
            if broken or not self._web.released.is_set():
                outputfile.write(data[: len(data) // _HALF])
                self._web.released.wait()
                data = data[len(data) // _HALF :]
            if not broken:
                outputfile.write(data)
        except OSError:  # the reader has gone
            self.close_connection = True


def playlist(clip: Path, folder: Path, *, ended: bool = True, seconds: float = 1) -> Path:
    """`clip` as HLS, in `folder`; without `ended`, more may come."""
    path = folder / "list.m3u8"
    options = {
        "hls_time": f"{seconds:g}",
        "hls_list_size": "0",
        "hls_segment_filename": str(folder / "part%d.ts"),
    }
    with (
        av.open(str(clip)) as source,
        av.open(str(path), "w", format="hls", options=options) as output,
    ):
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                output.mux(packet)
    if not ended:
        path.write_text(path.read_text().replace("#EXT-X-ENDLIST\n", ""))
    return path
