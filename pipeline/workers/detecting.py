"""Detection in a worker process, for the detect threads of the main process."""

import contextlib
import socket
import threading
from collections.abc import Callable

from detectors.base import Detector
from pipeline.core.errors import EyrieError
from pipeline.core.picture import Picture
from pipeline.workers import wire
from pipeline.workers.layout import Layout
from pipeline.workers.slots import Mapped


class OneDetector:
    """The detector of a worker process: opened for the first who asks. Any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._detector: Detector | None = None

    def get(self, make: bytes) -> Detector:
        """Give it, or open it first, which blocks. Raises what that raises."""
        with self._guard:
            if self._detector is None:
                opened: Callable[[], Detector] = wire.unpack(make)
                self._detector = opened()
            return self._detector


class Detecting:
    """Answers the requests of one connection, in a thread of its own, until it is hung up.

    Pictures are read where they lie, in memory that whoever decodes them shares: it need not be
    this process.
    """

    def __init__(
        self, connection: socket.socket, order: wire.DetectOrder, detector: OneDetector
    ) -> None:
        self._connection, self._order, self._shared = connection, order, detector
        self._memories: dict[int, tuple[Mapped, Layout]] = {}
        threading.Thread(target=self._run, name="eyrie detect", daemon=True).start()

    def _run(self) -> None:
        with self._connection, contextlib.suppress(ConnectionError):  # the main process is gone
            try:
                detector = self._shared.get(self._order.make)
            except Exception as error:  # noqa: BLE001 - told there as here, with its name
                self._connection.send(wire.failed_record(_told(error)))
                return
            self._connection.send(wire.pack(wire.Opened()))
            while packet := self._connection.recv(wire.MOST_BYTES):
                self._hear(detector, wire.unpack(packet))

    def _hear(self, detector: Detector, said: wire.NewMemory | wire.Request) -> None:
        match said:
            case wire.NewMemory() as news:
                memory = Mapped(wire.receive_fd(self._connection), news.slots, news.slot_bytes)
                self._memories[news.number] = memory, news.layout
            case wire.Request() as request:
                for number in request.forget:
                    del self._memories[number]
                self._answer(detector, request)

    def _answer(self, detector: Detector, request: wire.Request) -> None:
        try:
            pictures = [self._picture(*place) for place in request.places]
            packets = [wire.found_record(found) for found in detector.detect(pictures)]
        except Exception as error:  # noqa: BLE001 - told there as here, with its name
            packets = [wire.failed_record(_told(error))]
        for packet in packets:
            self._connection.send(packet)

    def _picture(self, number: int, slot: int) -> Picture:
        memory, layout = self._memories[number]
        return layout.read(memory.slot(slot))


def _told(error: Exception) -> str:
    is_ours = isinstance(error, EyrieError)
    return str(error) if is_ours else f"unexpected {type(error).__name__}: {error}"
