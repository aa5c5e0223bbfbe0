"""One source that is decoded in a worker process for a stream of the main process."""

import contextlib
import socket
import struct
import threading
import time
import traceback
from typing import Any, Final

from pipeline.core.errors import DecodeError, SourceError
from pipeline.core.frame import Frame
from pipeline.core.log import get_logger, redact
from pipeline.load.gate import Gate
from pipeline.workers import wire
from pipeline.workers.layout import Layout, layout_for
from pipeline.workers.slots import Memory, Slots
from stages.base import Counts, Source

log = get_logger(__name__)

RETURN: Final = struct.Struct("<HH")
"""The record that comes back: which memory, and which of its slots."""
THIN: Final = struct.Struct("<dd")
"""The record that sets the gate: `keep` and `phase` of `pipeline.load.gate.Gate`."""


class Serving:
    """Decodes one source, in a thread of its own, into slots, and says so over `connection`.

    `hear` and `look` are for the process's main thread, which watches the connection. The thread
    begins with `start` and ends with the source, or soon after the other side has hung up.
    """

    def __init__(self, connection: socket.socket, order: wire.Order) -> None:
        self.connection = connection
        self._order, self._skip = order, order.skip
        self._gate, self._thinned = Gate("", 0, 0.0), 0
        self._source: Source | None = None
        self._guard = threading.Lock()
        self._pair = threading.Lock()  # two packets that belong together
        self._layout: Layout | None = None
        self._memory: Memory | None = None
        self._slots: Slots | None = None
        self._generation = -1
        self._told: tuple[object, ...] | None = None
        self._hung_up_s: float | None = None
        self._thread = threading.Thread(target=self._run, name="eyrie decode", daemon=True)

    def start(self) -> None:
        """Say that the order has come, and begin."""
        self._send(wire.pack(wire.Accepted()))
        self._thread.start()

    @property
    def hung_s(self) -> float:
        """The seconds for which its thread has not ended although nobody listens any more."""
        gone_s = self._hung_up_s
        return time.monotonic() - gone_s if gone_s is not None and self._thread.is_alive() else 0.0

    def close_if_over(self) -> bool:
        """True once both sides are done with it. Not before that is the connection closed: its
        number could be another's while the thread sends."""
        if self._hung_up_s is None or self._thread.is_alive():
            return False
        self.connection.close()
        return True

    def hear(self) -> bool:
        """Take back what came back. False: the other side has hung up. Never blocks."""
        while True:
            try:
                packet = self.connection.recv(THIN.size, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            except ConnectionError:
                packet = b""
            if not packet:
                self._hang_up()
                return False
            if len(packet) == THIN.size:
                self._gate.copy(*THIN.unpack(packet))
            else:
                self._take_back(*RETURN.unpack(packet))

    def _take_back(self, generation: int, slot: int) -> None:
        with self._guard:
            slots = self._slots if generation == self._generation else None
        if slots is not None:
            slots.give_back(slot)

    def look(self) -> None:
        """Tell the account where no frame does, for it shows that the decoder is alive."""
        record = self._counts_record()
        if record == self._told or not self._thread.is_alive() or not self._pair.acquire(False):
            return
        try:
            self.connection.send(wire.pack(record), socket.MSG_DONTWAIT)
            self._told = record
        except OSError:  # full or closed: the next one tells more, or there is nobody to tell
            return
        finally:
            self._pair.release()

    def _hang_up(self) -> None:
        with self._guard:
            self._hung_up_s = time.monotonic()
            self._generation = -1
            source, slots = self._source, self._slots
        if source is not None:
            source.close()
        if slots is not None:
            slots.close()

    def _run(self) -> None:
        error: SourceError | None = None
        try:
            with contextlib.closing(wire.unpack(self._order.source)) as source:
                with self._guard:
                    self._source = source
                    wanted = self._hung_up_s is None
                if wanted:
                    self._give_frames(source)
        except SourceError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - ends this source, with its name
            log.debug("%s", redact("".join(traceback.format_exception(failure))))
            error = DecodeError("", f"unexpected {redact(f'{type(failure).__name__}: {failure}')}")
        said = None if error is None else wire.error_record(error)
        self._send(wire.pack(wire.Over(self._counts_record(), said)))

    def _counts_record(self) -> tuple[Any, ...]:
        counts = self._source.counts if self._source is not None else Counts()
        return wire.counts_record(counts, self._thinned)

    def _give_frames(self, source: Source) -> None:
        for frame in source.frames():
            if self._skip:
                self._skip -= 1
            elif not self._give(source, frame):
                return

    def _give(self, source: Source, frame: Frame) -> bool:
        """Give a frame, unless the gate leaves it out. False: nobody wants any more."""
        if not self._gate.admit():
            self._thinned += 1
            return True
        layout = self._layout
        if layout is None or not layout.suits(frame.picture):
            layout = self._begin_memory(layout_for(frame.picture, self._order.wanted))
        with self._guard:
            memory, slots = self._memory, self._slots
        if memory is None or slots is None or (slot := slots.take()) is None:
            return False
        layout.write(frame.picture, memory.slot(slot))
        return self._send(wire.frame_record(slot, frame.info, source, self._thinned))

    def _begin_memory(self, layout: Layout) -> Layout:
        """Begin new memory, in which pictures lie from now on; what is in the old one is there for
        as long as it is used."""
        count = self._order.slots
        memory = Memory(count, layout.slot_bytes)
        with self._guard:
            if self._hung_up_s is None:
                self._layout, self._memory, self._slots = layout, memory, Slots(count)
                self._generation += 1
        with self._pair, memory.lending() as fd, contextlib.suppress(OSError):
            wire.send_memory(self.connection, wire.NewMemory(layout, count, memory.slot_bytes), fd)
        return layout

    def _send(self, packet: bytes) -> bool:
        """Send a record. False: nobody listens any more."""
        try:
            self.connection.send(packet)
        except OSError:
            return False
        return True
