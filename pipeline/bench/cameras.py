"""Cameras that send at their own pace, and know when each picture left: for end-to-end latency.

Video goes as FLV over HTTP, which every loop here reads by FFmpeg. Each picture is one tag, so that
a demuxer gives it as soon as it is there; in a transport stream it would wait for the next one.
"""

import io
import threading
import time
from collections.abc import Sequence
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import av

from pipeline.bench.clips import FPS, moving_pattern

_SECOND_OF_KEYS = str(FPS)
_POLL_S = 0.1


def encode_chunks(width: int, height: int, frames: int) -> list[bytes]:
    """The bytes of `frames` numbered pictures: the first item holds the header, too. H.264, a key
    frame every second, no B-frames."""
    chunks: list[bytes] = []
    written = io.BytesIO()
    picture = moving_pattern(width, height)
    with av.open(written, "w", format="flv") as container:
        options = {"preset": "veryfast", "bf": "0", "g": _SECOND_OF_KEYS, "tune": "zerolatency"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
            chunks.append(_taken(written))
        container.mux(stream.encode())
    return chunks


def _taken(written: io.BytesIO) -> bytes:
    """What was written since; FLV's header is mended at the end, which nobody reads."""
    found = written.getvalue()
    written.seek(0)
    written.truncate()
    return found


class Cameras:
    """A server on 127.0.0.1 with any number of cameras that send the same pictures. A context
    manager. Every connection gets them from the first one on, at 25 a second; once a camera has
    sent all, it is gone, until `reset`."""

    def __init__(self, chunks: Sequence[bytes]) -> None:
        self.sent_ns: dict[tuple[int, int], int] = {}
        """When a picture's bytes were given to the socket, by camera and number; monotonic."""
        self._gone: set[int] = set()
        cameras = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera = int(self.path.strip("/").partition(".")[0])
                if camera in cameras._gone:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "video/x-flv")
                self.end_headers()
                cameras._send(camera, self.wfile, chunks)

            def log_message(self, *args: object) -> None:
                """Nothing: a reader that leaves early is no news."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="eyrie cameras", daemon=True
        )
        self.frames = len(chunks)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, camera: int) -> str:
        """Where it can be read."""
        return f"http://127.0.0.1:{self._server.server_port}/{camera}.flv"

    def reset(self) -> None:
        """All cameras are there again, and nothing was sent."""
        self.sent_ns.clear()
        self._gone.clear()

    def latencies_ms(self, times: Sequence[Sequence[int]], skipped: int) -> list[float]:
        """From the sending of a picture to its result: of every result (camera, number, monotonic
        ns) but those of the first `skipped` pictures, in which a reader finds out what it reads.
        Each picture counts once."""
        first: dict[tuple[int, int], int] = {}
        for camera, number, at_ns in times:
            first.setdefault((camera, number), at_ns)
        return [
            (at_ns - self.sent_ns[key]) / 1e6
            for key, at_ns in first.items()
            if key in self.sent_ns and key[1] >= skipped
        ]

    def _send(self, camera: int, to: Any, chunks: Sequence[bytes]) -> None:
        began_s = time.monotonic()
        try:
            for number, chunk in enumerate(chunks):
                wait_s = began_s + number / FPS - time.monotonic()
                if wait_s > 0:
                    time.sleep(wait_s)
                self.sent_ns[camera, number] = time.monotonic_ns()
                to.write(chunk)
                to.flush()
        except ConnectionError:
            return
        self._gone.add(camera)
