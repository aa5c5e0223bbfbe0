"""A bad network between a camera and its viewer: a TCP relay that can be told to misbehave."""

import contextlib
import random
import socket
import threading
from types import TracebackType
from typing import Literal, Self

Mode = Literal["pass", "hold", "trickle", "garble", "lossy"]
"""`hold`: nothing moves, connections stay open. `trickle`: 20 bytes a second to the viewer.
`garble`: one byte in a hundred of what goes to the viewer is another one, after the first 3000.
`lossy`: one RTP packet in ten never reaches the viewer, cut out whole."""

_HANDSHAKE_BYTES = 3000


class Relay:
    """Listens on `port` and connects every client to `target`, until `close`."""

    def __init__(self, target: int, mode: Mode = "pass", seed: int = 0) -> None:
        self.mode: Mode = mode
        self._target = target
        self._rng = random.Random(seed)
        self._closed = threading.Event()
        self._sockets: dict[socket.socket, None] = {}
        """Those that are open, in the order of their connections, two each."""
        self._guard = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed.set()
        with contextlib.suppress(OSError):  # wakes the thread that accepts
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self, spare: int = 0) -> None:
        """Close all connections but the `spare` oldest ones."""
        with self._guard:
            sockets = list(self._sockets)
            self._sockets = dict.fromkeys(sockets[: 2 * spare])
        for one in sockets[2 * spare :]:
            with contextlib.suppress(OSError):  # the other side may have gone first
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                camera = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            with self._guard:
                self._sockets |= {client: None, camera: None}
            for pair in ((client, camera, False), (camera, client, True)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, to_viewer: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(16_384):
                while self.mode == "hold" and not self._closed.wait(0.02):
                    pass
                self._send(sink, data, to_viewer, passed)
                passed += len(data)
        for one in (source, sink):
            with self._guard:
                self._sockets.pop(one, None)
            one.close()

    def _send(self, sink: socket.socket, data: bytes, to_viewer: bool, passed: int) -> None:
        if to_viewer and self.mode == "lossy":
            data = self._thinned(data)
        if to_viewer and self.mode == "garble" and passed > _HANDSHAKE_BYTES:
            data = self._garbled(data)
        while to_viewer and self.mode == "trickle" and data and not self._closed.wait(0.05):
            sink.sendall(data[:1])
            data = data[1:]
        sink.sendall(data)

    def _thinned(self, data: bytes) -> bytes:
        """Without some of the RTP packets that lie whole in it (RFC 2326, section 10.12)."""
        kept, place = b"", 0
        while data[place : place + 2] == b"$\0" and place + 4 <= len(data):
            end = place + 4 + int.from_bytes(data[place + 2 : place + 4], "big")
            if end > len(data) or self._rng.random() > 0.1:
                kept += data[place:end]
            place = end
        return kept + data[place:]

    def _garbled(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(max(1, len(data) // 100)):
            changed[self._rng.randrange(len(data))] = self._rng.randrange(256)
        return bytes(changed)
