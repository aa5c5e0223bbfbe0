"""Worker processes as the coordinator holds them: starting, hearing, killing."""

import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from pipeline.batch.result import NOTHING, FromWorker, Job, Progress
from pipeline.batch.worker import Orders, work
from pipeline.processes import how_it_died, signals_blocked


@dataclass(slots=True, eq=False)
class Member:
    """One worker. `path` is the input that it has, None while it has none; `moved_s` when it was
    last seen to get on, monotonic."""

    process: BaseProcess
    connection: Connection
    path: str | None = None
    progress: Progress = NOTHING
    moved_s: float = 0.0
    ready: bool = False

    def give(self, path: str, job: Job) -> None:
        """Hand it a job; if it is dead, that shows at the next `hear`."""
        self.path, self.progress, self.moved_s = path, NOTHING, time.monotonic()
        try:
            self.connection.send(job)
        except ConnectionError:
            self.process.kill()

    def note(self, progress: Progress) -> None:
        """It is that far."""
        before = self.progress
        if (progress.decoded, progress.hashed_bytes) > (before.decoded, before.hashed_bytes):
            self.moved_s = time.monotonic()
        self.progress = progress

    def words(self) -> Iterator[FromWorker | None]:
        """What it has said since, in order; a last None: it is dead."""
        try:
            while self.connection.poll():
                yield self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            yield None

    def kill(self) -> None:
        """At once, and wait until it is gone."""
        self.process.kill()
        self.process.join()
        self.connection.close()

    @property
    def epitaph(self) -> str:
        """How it died."""
        code = self.process.exitcode
        assert code is not None
        fewer = " then give fewer --workers" if code == -signal.SIGKILL else ""
        return f"its worker {how_it_died(code)}{fewer}"


class Crew:
    """All workers of a batch. Used by the main thread only: the kernel kills the workers when the
    thread that started them ends."""

    def __init__(self, orders: Orders) -> None:
        self.members: list[Member] = []
        self._orders = orders
        self._context = multiprocessing.get_context("spawn")

    def hire(self) -> None:
        """Start one more."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=work, args=(theirs, self._orders), name="eyrie batch worker", daemon=True
        )
        resource_tracker.ensure_running()  # the first start would, and unblock the signals again
        with signals_blocked():
            process.start()
        theirs.close()  # so that its death is an end of file here
        self.members.append(Member(process, ours, moved_s=time.monotonic()))

    def hear(self, within_s: float) -> Sequence[tuple[Member, list[FromWorker | None]]]:
        """What the members have said, waiting for the first word at most `within_s`."""
        spoken = wait([member.connection for member in self.members], within_s)
        members = [member for member in self.members if member.connection in spoken]
        return [(member, list(member.words())) for member in members]

    def dismiss(self, member: Member) -> None:
        """Kill one; its part is nobody's now."""
        member.kill()
        self.members.remove(member)

    def close(self) -> None:
        """Kill them all: nothing that they have is lost."""
        for member in self.members:
            member.process.kill()
        for member in self.members:
            member.kill()
        self.members.clear()
