"""Background processes that make batches ahead of their use."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

import cv2

from detectors.training.data.dataset import DataFault
from detectors.training.data.mixer import Batch, Mixer
from detectors.training.data.pixels import CACHE_BYTES
from pipeline.core.errors import ConfigError, DetectorError, EyrieError

ENDING_S = 10.0


class Loader:
    """Batches from `first` on, made ahead by `workers` processes. Close it after use.

    Takes the arguments of `Mixer`; `rank`, `world` and all others go to it. The order of batches
    and what is in them do not depend on `workers`. `faults` is what was wrong with the data so far.

    Iterating blocks until the next batch is there. It raises the `ConfigError` that a process ended
    with, and `DetectorError` when one died of something else.
    """

    def __init__(
        self, *mixer: Any, first: int = 0, ahead: int = 6, workers: int = 1, **options: Any
    ) -> None:
        options["cache_bytes"] = options.get("cache_bytes", CACHE_BYTES) // workers
        self.faults: list[DataFault] = []
        share = max(1, ahead // workers)
        self._makers = [
            _Maker(range(first + n, 2**62, workers), share, mixer, options) for n in range(workers)
        ]

    def __iter__(self) -> Iterator[Batch]:
        for turn in count():
            batch, faults = self._makers[turn % len(self._makers)].next()
            known = set(self.faults)
            self.faults += [fault for fault in faults if fault not in known]
            yield batch

    def close(self) -> None:
        """Stop the processes; safe to call twice."""
        for maker in self._makers:
            maker.close()


class _Maker:
    """One process, and this end of the pipe that its batches come through.

    Only that process holds the other end, so that its death is the end of the pipe, wherever in a
    batch it happens.
    """

    def __init__(
        self, indices: range, ahead: int, mixer: tuple[Any, ...], options: dict[str, Any]
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._made, end = context.Pipe(duplex=False)
        self.process: SpawnProcess = context.Process(
            target=_produce, args=(end, indices, ahead, mixer, options), daemon=True, name="batches"
        )
        # The mask is inherited: a signal to the group is for who trains, from the first moment on.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        end.close()

    def next(self) -> tuple[Batch, list[DataFault]]:
        """The next batch, and what was found to be wrong with the data since the last one."""
        try:
            made: tuple[Batch, list[DataFault]] | _Ended = self._made.recv()
        except (EOFError, OSError):
            self.process.join(ENDING_S)
            made = _Ended(_ending(self.process.exitcode), False)
        if isinstance(made, _Ended):
            raise made.error()
        return made

    def close(self) -> None:
        self.process.kill()
        self.process.join()
        self._made.close()


@dataclass(frozen=True, slots=True)
class _Ended:
    """Why a process makes no more batches, in a form that crosses processes."""

    why: str
    is_config: bool

    def error(self) -> EyrieError:
        if self.is_config:
            return ConfigError("", self.why)
        return DetectorError(f"the process that makes batches has died: {self.why}")


def _ending(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = ", perhaps for lack of memory" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    return f"it ended with code {exitcode}"


def _produce(
    end: Connection, indices: range, ahead: int, mixer: tuple[Any, ...], options: dict[str, Any]
) -> None:
    """Make batches until the parent kills this process or is gone itself."""
    cv2.setNumThreads(1)
    made: queue.Queue[Any] = queue.Queue(ahead)
    sender = threading.Thread(target=_send, args=(end, made), name="sender", daemon=True)
    sender.start()
    try:
        maker, told = Mixer(*mixer, **options), 0
        for index in indices:
            batch = maker.batch(index)
            news, told = maker.faults[told:], len(maker.faults)
            made.put((batch, news))
    except Exception as error:  # noqa: BLE001 - told to whoever waits for the batch
        is_config = isinstance(error, ConfigError)
        made.put(_Ended(str(error) if is_config else f"{type(error).__name__}: {error}", is_config))
    sender.join()


def _send(end: Connection, made: queue.Queue[Any]) -> None:
    """Send what is made, an end the last; the process goes when nobody receives any more."""
    while True:
        what = made.get()
        try:
            end.send(what)
        except OSError:
            os._exit(0)
        if isinstance(what, _Ended):
            return
