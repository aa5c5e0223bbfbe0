"""A worker process: `python -m pipeline.workers.process FD LEVEL PARENT`, started by the pool.

It reads orders from the socket FD, each with a connection to serve, and says there what it logs.
It holds nothing that matters, and ends with the process that started it. What it imports is what
decoding needs; an engine only when it is to detect, too.
"""

import logging
import os
import selectors
import socket
import sys
import time
from typing import Final

import cv2

from pipeline.core.log import get_logger
from pipeline.memory import share_one_heap
from pipeline.processes import die_with_parent
from pipeline.workers import wire
from pipeline.workers.detecting import Detecting, OneDetector
from pipeline.workers.serving import Serving

log = get_logger(__name__)

LOOK_EVERY_S: Final = 0.25
HUNG_AFTER_S: Final = 5.0
MOST_HUNG: Final = 3
"""With so many decoders that never return, the process ends itself: no thread of it can be ended,
and its streams find another one."""
EXIT_HUNG: Final = 70
_LONGEST_LOG: Final = 8000


class _LogForwarder(logging.Handler):
    """Says to the main process what is logged here; there it is logged again."""

    def __init__(self, control: socket.socket) -> None:
        super().__init__()
        self._control = control

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()[:_LONGEST_LOG]
        try:
            self._control.send(wire.pack((record.name, record.levelno, text)))
        except OSError:
            self.handleError(record)


class Worker:
    """The main thread: hears orders and what comes back, and looks after the decoding threads."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self.serving: list[Serving] = []
        """The sources being served, with those whose threads have not ended although nobody
        listens."""
        self._detector = OneDetector()
        self._looked_s = 0.0

    def run(self) -> None:
        """Hear orders until the main process hangs up, or too many decoders hang."""
        while True:
            for key, _ in self._selector.select(LOOK_EVERY_S):
                if key.data is None:
                    if not self._take_order():
                        return
                elif not key.data.hear():
                    self._selector.unregister(key.fileobj)
            if time.monotonic() - self._looked_s >= LOOK_EVERY_S:
                self._looked_s = time.monotonic()
                self._look()

    def _take_order(self) -> bool:
        try:
            received = wire.receive_order(self._control)
        except ConnectionError:
            raise
        except OSError as error:
            log.error("worker process: %s", error.strerror)
            return True
        if received is None:
            return False
        order, connection = received
        if isinstance(order, wire.DetectOrder):
            Detecting(connection, order, self._detector)
            return True
        serving = Serving(connection, order)
        self.serving.append(serving)
        self._selector.register(connection, selectors.EVENT_READ, serving)
        serving.start()
        return True

    def _look(self) -> None:
        self.serving = [one for one in self.serving if not one.close_if_over()]
        for serving in self.serving:
            serving.look()
        if sum(serving.hung_s > HUNG_AFTER_S for serving in self.serving) >= MOST_HUNG:
            os._exit(EXIT_HUNG)


def main() -> None:
    """The whole life of the process. Leaves without waiting for any thread."""
    fd, level, parent = (int(word) for word in sys.argv[1:])
    die_with_parent(parent)
    share_one_heap()
    cv2.setNumThreads(1)  # the decoders fill the cores, and would wait for OpenCV's threads
    control = socket.socket(fileno=fd)
    logger = logging.getLogger("eyrie")
    logger.setLevel(level)
    logger.addHandler(_LogForwarder(control))
    try:
        Worker(control).run()
    except ConnectionError:
        os._exit(0)  # the main process is gone
    os._exit(0)


if __name__ == "__main__":
    main()
