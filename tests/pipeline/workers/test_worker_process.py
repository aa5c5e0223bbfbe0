"""A worker process that cannot go on ends itself, and one that nobody needs ends, too."""

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from detectors.letterbox import Letterbox
from pipeline.core.frame import Frame
from pipeline.workers import process, wire
from pipeline.workers.layout import Wanted
from stages.base import Counts

_LET_GO = threading.Event()


class Deaf:
    """A source whose decoder hangs, whatever is told to it."""

    live = True
    frame_count: int | None = None

    def __init__(self) -> None:
        self.counts = Counts()

    def frames(self) -> Iterator[Frame]:
        _LET_GO.wait(60)
        yield from ()

    def close(self) -> None:
        """Heard by nobody."""


@pytest.fixture
def main() -> Iterator[tuple[socket.socket, process.Worker]]:
    """The main process's end, and a worker that is no process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        worker = process.Worker(theirs)
        yield ours, worker
        _LET_GO.set()
        for serving in worker.serving:
            serving.connection.close()


def order(control: socket.socket) -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        deaf = wire.Order(wire.pack_source(Deaf()), Wanted(Letterbox(64, 64)), 2)
        wire.send_order(control, deaf, theirs)
    return ours


def test_a_worker_whose_decoders_hang_ends_itself(
    main: tuple[socket.socket, process.Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    control, worker = main

    def leave(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr(process, "HUNG_AFTER_S", 0.05)
    monkeypatch.setattr(os, "_exit", leave)
    for _ in range(process.MOST_HUNG):
        order(control).close()
    with pytest.raises(SystemExit) as left:
        worker.run()
    assert left.value.code == process.EXIT_HUNG


def test_a_worker_ends_when_the_main_process_hangs_up(
    main: tuple[socket.socket, process.Worker],
) -> None:
    control, worker = main
    connection = order(control)
    control.close()
    worker.run()
    connection.settimeout(10)
    assert isinstance(wire.unpack(connection.recv(wire.MOST_BYTES)), wire.Accepted)
    connection.close()
