"""The worker processes of one run: started, given streams, replaced when they die, ended."""

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from pipeline.core.log import get_logger
from pipeline.processes import how_it_died, signals_blocked
from pipeline.workers import wire
from pipeline.workers.process import EXIT_HUNG, MOST_HUNG

log = get_logger(__name__)

_END_WITHIN_S: Final = 1.0


class WorkerProcess:
    """One worker. Any thread, but for `close`, which may block for a moment.

    It is a process of its own making, not `multiprocessing`'s: the program that embeds the pipeline
    is not imported again, and what the worker imports is little.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._streams: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._over = threading.Event()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._thread = threading.Thread(
            target=self._run, args=(theirs,), name=f"eyrie worker {number}", daemon=True
        )
        self._thread.start()

    @property
    def alive(self) -> bool:
        """True while the worker takes orders."""
        return not self._over.is_set()

    @property
    def pid(self) -> int | None:
        """The process id, once there is a process."""
        return self._process.pid if self._process is not None else None

    @property
    def streams(self) -> tuple[str, ...]:
        """The ids of the streams that it decodes now, or is about to."""
        return tuple(self._streams)

    def assign(self, stream_id: str) -> None:
        """Note that a stream will be served."""
        self._streams.append(stream_id)

    @contextmanager
    def serve(self, stream_id: str, order: wire.Order) -> Iterator[socket.socket]:
        """See `pipeline.workers.source.Worker`."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with theirs, suppress(OSError):
                wire.send_order(self._control, order, theirs)
            try:
                yield ours
            finally:
                self._streams.remove(stream_id)

    def detect(self, order: wire.DetectOrder) -> socket.socket:
        """See `pipeline.workers.detector.Worker`."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, suppress(OSError):
            wire.send_order(self._control, order, theirs)
        return ours

    def kill(self) -> None:
        """See `pipeline.workers.source.Worker`."""
        if self._process is not None:
            self._process.kill()

    def epitaph(self) -> str:
        """See `pipeline.workers.source.Worker`."""
        self._over.wait(_END_WITHIN_S)
        code = self._process.returncode if self._process is not None else None
        if code is None:
            return f"worker process {self.number} gave it up"
        if code == EXIT_HUNG:
            return f"worker process {self.number} ended itself, for {MOST_HUNG} decoders in it hung"
        return f"worker process {self.number} {how_it_died(code)}"

    def close(self) -> None:
        """End the process. Returns when it is gone."""
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        if not self._over.wait(_END_WITHIN_S):
            self.kill()
        self._thread.join()

    def _run(self, theirs: socket.socket) -> None:
        """Starts it, logs what it says, and sees it end: in one thread for its whole life, for the
        kernel kills it when the thread that started it ends."""
        with self._control:
            try:
                with theirs, signals_blocked():  # it decodes on while the main process drains
                    self._process = _start(theirs.fileno())
                while packet := self._hear():
                    name, level, text = wire.unpack(packet)
                    logging.getLogger(name).log(level, "%s", text)
                self._process.wait()
            except OSError as error:
                log.error("worker process %d cannot be started: %s", self.number, error.strerror)
            finally:
                self._over.set()

    def _hear(self) -> bytes:
        try:
            return self._control.recv(wire.MOST_BYTES)
        except ConnectionError:
            return b""


class Pool:
    """`count` worker processes. One that dies is replaced when the next stream or detector asks."""

    def __init__(self, count: int) -> None:
        self._guard = threading.Lock()
        self._count = self._started = count
        self._closed = False
        self._workers = [WorkerProcess(number) for number in range(count)]

    @property
    def workers(self) -> list[WorkerProcess]:
        """The workers that live."""
        return [worker for worker in self._workers if worker.alive]

    def hire(self, stream_id: str) -> WorkerProcess:
        """The living worker with the fewest streams, and from now on with this one, until it is
        served. Raises `RuntimeError` after `close`."""
        with self._guard:
            worker = min(self._all(), key=lambda worker: len(worker.streams))
            worker.assign(stream_id)
            return worker

    def nth(self, number: int) -> WorkerProcess:
        """One of the living workers, the same for the same number while all live. Raises
        `RuntimeError` after `close`."""
        with self._guard:
            workers = self._all()
            return workers[number % len(workers)]

    def _all(self) -> list[WorkerProcess]:
        """All workers, of which the dead are replaced."""
        if self._closed:
            raise RuntimeError("the run is over, and so are its worker processes")
        for place, worker in enumerate(self._workers):
            if not worker.alive:
                self._workers[place] = WorkerProcess(self._started)
                self._started += 1
        return self._workers

    def close(self) -> None:
        """End all workers. Returns when they are gone."""
        with self._guard:
            self._closed = True
            workers, self._workers = self._workers, []
        for worker in workers:
            worker.close()


def _start(fd: int) -> subprocess.Popen[bytes]:
    """Start the process. Where it finds its modules goes by the environment, and nothing secret by
    its arguments."""
    level = logging.getLogger("eyrie").getEffectiveLevel()
    path = os.pathsep.join(folder or str(Path.cwd()) for folder in sys.path)
    words = [f"{fd}", f"{level}", f"{os.getpid()}"]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "pipeline.workers.process", *words],
        pass_fds=[fd],
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
    )
