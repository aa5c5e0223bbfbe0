"""A detector that computes in worker processes, as the main process sees it."""

import queue
import socket
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from detectors.base import Detector
from detectors.letterbox import Letterbox
from pipeline.core.detections import Detections
from pipeline.core.errors import EngineRunError
from pipeline.core.log import get_logger
from pipeline.core.picture import AnyPicture
from pipeline.workers import wire
from pipeline.workers.lent import LentPicture
from pipeline.workers.slots import Loans

log = get_logger(__name__)

ANSWERS_WITHIN_S: Final = 120.0
"""The time in which a worker opens its detector, and answers the first time: a large network takes
many seconds for a batch. One that does not is stuck, or the machine is: it is ended."""
LEAST_PATIENCE_S: Final = 20.0
PATIENCE_TIMES: Final = 20
"""Afterwards it is waited for so many times as long as for its slowest batch, but at least so long:
results go on in order, so all streams wait meanwhile."""
AGAIN_AFTER_S: Final = 10.0
"""The pause before a worker is asked to open the detector again, so that one which dies of it does
not do so all the time."""


T = TypeVar("T")


class Worker(Protocol):
    """A worker process, as a detector needs it."""

    number: int

    def detect(self, order: wire.DetectOrder) -> socket.socket:
        """Have it open a detector -> our end of the connection on which it does what is asked. If
        the worker is dead, that shows there as an end."""

    def kill(self) -> None:
        """End the worker at once, as it does not answer."""

    def epitaph(self) -> str:
        """The way the worker died. Waits a moment for it to be over."""


class WorkerDetector:
    """A `Detector` whose pictures are detected in worker processes, past this one's interpreter.

    `local` is the same detector in this process. It does what no worker can: pictures that were
    decoded here, and all while a worker that has died is replaced, so nothing is lost with one.
    `nth` gives the living worker of a number; the threads that call `detect` share them out.

    Blocks until the workers have opened their detectors: beside cameras that decode already, that
    takes twice as long, and costs them frames.
    """

    def __init__(
        self, local: Detector, order: wire.DetectOrder, nth: Callable[[int], Worker]
    ) -> None:
        self.labels, self.name, self.sha256 = local.labels, local.name, local.sha256
        self.precision, self.engine_name = local.precision, local.engine_name
        self.device, self.concurrency = local.device, local.concurrency
        self.detected_there_total = 0
        """Pictures that workers have detected in, give or take what threads count at once."""
        self._local = local
        self._lines = [_Line(number, order, nth) for number in range(local.concurrency)]
        self._free: queue.SimpleQueue[_Line] = queue.SimpleQueue()
        for line in self._lines:
            line.wait()
            self._free.put(line)

    @property
    def letterbox(self) -> Letterbox | None:
        """See `detectors.base.Detector.letterbox`."""
        return self._local.letterbox

    def detect(self, pictures: Sequence[AnyPicture], /) -> list[Detections]:
        """See `detectors.base.Detector.detect`."""
        lent = [picture for picture in pictures if isinstance(picture, LentPicture)]
        found = self._there(lent) if lent and len(lent) == len(pictures) else None
        if found is None:
            return self._local.detect(pictures)
        self.detected_there_total += len(found)
        return found

    def close(self) -> None:
        """Hang up; `local` stays open."""
        for line in self._lines:
            line.close()

    def _there(self, pictures: Sequence[LentPicture]) -> list[Detections] | None:
        line = self._free.get()
        try:
            return line.detect(pictures)
        finally:
            self._free.put(line)


class _Line:
    """The connection to one worker. One thread at a time."""

    def __init__(self, number: int, order: wire.DetectOrder, nth: Callable[[int], Worker]) -> None:
        self._number, self._order, self._nth = number, order, nth
        self._known: dict[int, weakref.ref[Loans]] = {}
        self._gone: deque[int] = deque()
        self._again_s: float | None = 0.0
        self._open = False
        self._slowest_s = 0.0
        """The longest time that the worker has taken for a batch."""
        self._connection: socket.socket | None = None
        self._connect()

    def wait(self) -> None:
        """Block until the worker has opened its detector, or cannot."""
        self._attempt(lambda connection: self._is_open(connection, ANSWERS_WITHIN_S))

    def detect(self, pictures: Sequence[LentPicture]) -> list[Detections] | None:
        """None: the worker is not there, or not yet. Raises `EngineRunError`."""
        if self._connection is None and (self._again_s is None or time.monotonic() < self._again_s):
            return None
        return self._attempt(lambda connection: self._ask(connection, pictures))

    def _attempt(self, work: Callable[[socket.socket], T]) -> T | None:
        """Do something with the worker. None: it is dead, or stuck and ended for it."""
        try:
            return work(self._connection or self._connect())
        except TimeoutError:
            self._worker.kill()
            self._lose()
        except OSError:
            self._lose()
        return None

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> socket.socket:
        self._worker = self._nth(self._number)
        self._connection = connection = self._worker.detect(self._order)
        self._open, self._slowest_s = False, 0.0
        self._known.clear()
        self._gone.clear()
        return connection

    def _lose(self) -> None:
        self.close()
        self._again_s = time.monotonic() + AGAIN_AFTER_S
        log.warning("%s; its share is detected in the main process", self._worker.epitaph())

    def _is_open(self, connection: socket.socket, within_s: float = 0.0) -> bool:
        """Whether the worker's detector is open; where `within_s` is given, that is waited for.
        Raises `ConnectionError` if the worker is dead, `TimeoutError` if it was waited for in
        vain."""
        if self._open:
            return True
        connection.settimeout(within_s)
        try:
            packet = self._heard(connection)
        except BlockingIOError:
            return False
        said = wire.found_of(packet) if wire.is_failure(packet) else None
        if said is not None:
            log.warning(
                "worker process %d: %s; its share is detected in the main process",
                self._worker.number, said,
            )  # fmt: skip
            self.close()
            self._again_s = None
            return False
        connection.settimeout(ANSWERS_WITHIN_S)
        self._open = True
        log.info("worker process %d detects", self._worker.number)
        return True

    def _ask(
        self, connection: socket.socket, pictures: Sequence[LentPicture]
    ) -> list[Detections] | None:
        if not self._is_open(connection):
            return None
        for picture in pictures:
            self._introduce(connection, picture)
        forget = tuple(self._gone.popleft() for _ in range(len(self._gone)))
        for number in forget:
            self._known.pop(number, None)
        places = tuple((picture.loans.number, picture.slot) for picture in pictures)
        began_s = time.monotonic()
        connection.send(wire.pack(wire.Request(places, forget)))
        found = []
        for _ in pictures:
            said = wire.found_of(self._heard(connection))
            if isinstance(said, str):
                raise EngineRunError(said)
            found.append(said)
        self._slowest_s = max(self._slowest_s, time.monotonic() - began_s)
        connection.settimeout(max(LEAST_PATIENCE_S, PATIENCE_TIMES * self._slowest_s))
        return found

    def _introduce(self, connection: socket.socket, picture: LentPicture) -> None:
        loans = picture.loans
        number = loans.number
        if number in self._known:
            return
        news = wire.NewMemory(picture.layout, loans.slots, loans.slot_bytes, number)
        wire.send_memory(connection, news, loans.fd)
        gone = self._gone
        self._known[number] = weakref.ref(loans, lambda _: gone.append(number))

    def _heard(self, connection: socket.socket) -> bytes:
        packet = connection.recv(wire.MOST_BYTES)
        if not packet:
            raise ConnectionResetError("the worker has hung up")
        return packet
