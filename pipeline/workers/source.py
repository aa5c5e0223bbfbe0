"""A stream's source that is decoded in a worker process, as the main process sees it."""

import contextlib
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

from pipeline.core.errors import SourceUnavailable
from pipeline.core.frame import Frame
from pipeline.core.log import get_logger
from pipeline.load.gate import Gate
from pipeline.workers import wire
from pipeline.workers.lent import LentPicture
from pipeline.workers.serving import RETURN, THIN
from pipeline.workers.slots import Loans
from stages.base import Counts

log = get_logger(__name__)

ANSWERS_WITHIN_S: Final = 30.0
"""The time after which a worker that has not taken an order is stuck, or the machine is: it is
replaced."""
MOST_IN_VAIN: Final = 1


class Worker(Protocol):
    """A worker process, as a source needs it."""

    def serve(self, stream_id: str, order: wire.Order) -> AbstractContextManager[socket.socket]:
        """Send an order -> our end of the connection on which it is served, closed behind the
        block. If the worker is dead, that shows there as an end."""

    def kill(self) -> None:
        """End the worker at once, as it does not answer."""

    def epitaph(self) -> str:
        """The way the worker died. Waits a moment for it to be over."""


class WorkerSource:
    """A `Source` whose pictures are decoded elsewhere, and come in the form that is wanted.

    `hire` gives a worker that lives, for this stream. Where one dies, that is `SourceUnavailable`,
    as the end of a connection. With `repeats`, for a source that gives the same frames at every
    reading, another worker decodes again up to where this one was; at most twice without a new
    frame. With `detected_there`, pictures tell where they lie: see `LentPicture`.
    """

    def __init__(
        self,
        stream_id: str,
        order: wire.Order,
        hire: Callable[[str], Worker],
        *,
        live: bool,
        repeats: bool,
        detected_there: bool = False,
    ) -> None:
        self.stream_id, self.live = stream_id, live
        self.frame_count: int | None = None
        self._record = self._given_record = wire.counts_record(Counts())
        self._known = self._record, Counts()
        self._order, self._hire, self._repeats = order, hire, repeats
        self._detected_there = detected_there
        self._guard = threading.RLock()  # a picture may be dropped by whoever holds it
        self._connection: socket.socket | None = None
        self._loans: Loans | None = None
        self._layout: Any = None
        self._generation = -1
        self._closed = False
        self._given = 0
        self._gate: Gate | None = None
        self._told = 1.0, 0.0
        self._thinned = 0

    @property
    def counts(self) -> Counts:
        """See `Source.counts`."""
        record, (known, counts) = self._record, self._known
        if known is not record:
            counts = wire.counts_of(record)
            self._known = record, counts
        return counts

    def thin_by(self, gate: Gate) -> None:
        """See `pipeline.load.gate.Thinning`."""
        self._gate, self._thinned = gate, 0
        self._follow(admitted=1)

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`."""
        in_vain = 0
        while True:
            given, worker = self._given, self._hire(self.stream_id)
            over = yield from self._read(worker)
            if self._closed:
                return
            if over is not None:
                if over.error is not None:
                    raise wire.error_of(self.stream_id, over.error)
                return
            self._record = self._given_record  # all else was never here
            why = worker.epitaph()
            in_vain = 0 if self._given > given else in_vain + 1
            if not self._repeats or in_vain > MOST_IN_VAIN:
                raise SourceUnavailable(self.stream_id, why)
            log.warning("stream %r: %s; decoding again what it had given, %d frames",
                        self.stream_id, why, self._given)  # fmt: skip

    def close(self) -> None:
        """See `Source.close`."""
        with self._guard:
            self._closed = True
            if self._connection is not None:
                with contextlib.suppress(OSError):  # it is over by itself
                    self._connection.shutdown(socket.SHUT_RDWR)

    def _read(self, worker: Worker) -> Generator[Frame, None, wire.Over | None]:
        """Read all that a worker gives; None: it died, or nobody wants more."""
        order = replace(self._order, skip=self._given)
        with worker.serve(self.stream_id, order) as connection:
            with self._guard:
                if self._closed:
                    return None
                self._connection, self._generation = connection, -1
            try:
                return (yield from self._listen(connection, worker))
            finally:
                with self._guard:
                    self._connection = self._loans = None

    def _listen(
        self, connection: socket.socket, worker: Worker
    ) -> Generator[Frame, None, wire.Over | None]:
        packet = memoryview(bytearray(wire.MOST_BYTES))
        connection.settimeout(ANSWERS_WITHIN_S)
        while size := self._receive(connection, packet, worker):
            match wire.unpack(packet[:size]):
                case wire.Accepted():
                    connection.settimeout(None)
                case wire.NewMemory() as news:
                    if not self._map(connection, news):
                        return None
                case wire.Over() as over:
                    self._note(over.counts)
                    self._follow(admitted=0)
                    return over
                case (slot, info, counts, frame_count):
                    self._note(counts)
                    self._follow(admitted=1)
                    self.frame_count = frame_count
                    self._given, self._given_record = self._given + 1, self._record
                    yield self._frame(slot, info)
                case counts:
                    self._note(counts)
                    self._follow(admitted=0)
            self._tell_gate(connection)
        return None

    def _receive(self, connection: socket.socket, packet: memoryview, worker: Worker) -> int:
        """The size of the next packet. 0: none will come."""
        if self._closed:
            return 0
        try:
            return connection.recv_into(packet)
        except TimeoutError:
            worker.kill()
            return 0
        except ConnectionError:
            return 0

    def _note(self, record: tuple[Any, ...]) -> None:
        """While another worker decodes again, the account stands still."""
        if wire.decoded_in(record) >= wire.decoded_in(self._record):
            self._record = record

    def _follow(self, admitted: int) -> None:
        """Count for the gate what came and what was left out."""
        if self._gate is not None:
            thinned = wire.thinned_in(self._record)
            self._gate.follow(admitted, thinned - self._thinned)
            self._thinned = thinned

    def _tell_gate(self, connection: socket.socket) -> None:
        """Tell the worker how far the gate is open, where that has changed."""
        if self._gate is None or self._told == (now := (self._gate.keep, self._gate.phase)):
            return
        with contextlib.suppress(OSError):  # full, so later; or closed
            connection.send(THIN.pack(*now), socket.MSG_DONTWAIT)
            self._told = now

    def _map(self, connection: socket.socket, news: wire.NewMemory) -> bool:
        """Map the memory. False: it has not come, for the worker has died."""
        try:
            fd = wire.receive_fd(connection)
        except ConnectionError:
            return False
        self._layout, self._generation = news.layout, self._generation + 1
        give_back = partial(self._give_back, connection, self._generation)
        self._loans = Loans(fd, news.slots, news.slot_bytes, give_back)
        return True

    def _frame(self, slot: int, info: tuple[Any, ...]) -> Frame:
        loans, layout = self._loans, self._layout
        assert loans is not None
        picture = layout.read(loans.lend(slot))
        if self._detected_there:
            picture = LentPicture(picture, loans, layout, slot)
        return Frame(wire.info_of(info), picture)

    def _give_back(self, connection: socket.socket, generation: int, slot: int) -> None:
        with self._guard:
            if self._connection is connection:  # else its number may be another's by now
                with contextlib.suppress(OSError):
                    connection.send(RETURN.pack(generation, slot), socket.MSG_DONTWAIT)
