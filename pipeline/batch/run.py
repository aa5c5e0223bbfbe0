"""The coordinator: hands files to workers, puts results where they belong, and keeps the state."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.batch.crew import Crew, Member
from pipeline.batch.folder import MANIFEST, Folder
from pipeline.batch.inputs import Inputs
from pipeline.batch.manifest import Manifest, Row
from pipeline.batch.progress import Account, Ledger
from pipeline.batch.result import Broken, FromWorker, Job, Progress, Ready, Result
from pipeline.batch.settings import Identity
from pipeline.batch.worker import Orders
from pipeline.core.errors import EyrieError
from pipeline.core.log import get_logger, one_line

log = get_logger(__name__)

_HEAR_S: Final = 0.2
_MOST_DEATHS: Final = 2  # over one file: the second is its end
_MOST_DEATHS_IN_A_ROW: Final = 10  # over any files, with none finished between


class WorkersFail(EyrieError):
    """No worker can work, whatever file it has: the model, the disk, or one dies after another."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a batch ended: all its files, and whether it was stopped before it had them all."""

    rows: tuple[Row, ...]
    stopped: bool
    elapsed_s: float


class Batch:
    """One run over the inputs, until all are done or failed, or until `stop`.

    `stall_s`: a worker that decodes nothing for so long is killed, as if it had died. A file over
    which a worker dies is tried once more; a second death fails it. Large files come first, so that
    no worker is left with a long one at the end.
    """

    def __init__(
        self,
        folder: Folder,
        inputs: Inputs,
        orders: Orders,
        *,
        workers: int,
        retry_failed: bool = False,
        stall_s: float = 600.0,
    ) -> None:
        self._folder, self._inputs = folder, inputs
        self._manifest = Manifest(folder.path / MANIFEST)
        self._crew = Crew(orders)
        self._workers, self._stall_s = workers, stall_s
        self._retry_failed = retry_failed
        self._identity: Identity | None = None
        self._queue: deque[str] = deque()
        self._ledger = Ledger(())
        self._ids: dict[str, str] = {}
        self._jobs = 0
        self._deaths_in_a_row = 0
        self._stopping = False

    def stop(self) -> None:
        """Hand out nothing more, kill the workers, return: within a moment. For signal handlers."""
        self._stopping = True

    def run(self, tick: Callable[[Account], object] = lambda account: None) -> Outcome:
        """Blocks until it is over; for the main thread. `tick` is called several times a second.

        Raises `ConfigError` when the folder is of a batch made otherwise, `EngineLoadError` and the
        like when no worker can work, `CannotWrite` when the disk is full or gone. The folder
        can be resumed after each of these, and after a kill at any point.
        """
        began_s = time.monotonic()
        try:
            self._crew.hire()
            while not self._stopping and not self._over():
                self._staff()
                for member, words in self._crew.hear(_HEAR_S):
                    for word in words:
                        self._take(member, word)
                self._kill_stalled()
                tick(self._account())
            self._release()
            rows = tuple(self._manifest.rows())
        finally:
            self._crew.close()
            self._manifest.close()
        stopped = any(row.state in ("queued", "running") for row in rows) or self._identity is None
        return Outcome(rows, stopped, time.monotonic() - began_s)

    def _over(self) -> bool:
        busy = any(member.path is not None for member in self._crew.members)
        return self._identity is not None and not self._queue and not busy

    def _account(self) -> Account:
        running = ((m.path, m.progress) for m in self._crew.members if m.path is not None)
        return self._ledger.account(running)

    def _staff(self) -> None:
        """Workers for what waits; a job for each that has none."""
        busy = sum(member.path is not None for member in self._crew.members)
        wanted = min(self._workers, busy + len(self._queue)) if self._identity else 1
        while len(self._crew.members) < wanted:
            self._crew.hire()
        for member in self._crew.members:
            if member.ready and member.path is None and self._queue:
                self._give(member, self._queue.popleft())

    def _give(self, member: Member, path: str) -> None:
        self._manifest.start(path)
        self._jobs += 1
        member.give(path, Job(self._inputs.root / path, self._ids[path], self._part(member)))

    def _part(self, member: Member) -> Path:
        """Each worker has one part at a time, and no two processes ever share one."""
        return self._folder.parts / str(member.process.pid)

    def _take(self, member: Member, word: FromWorker | None) -> None:
        match word:
            case Ready():
                self._welcome(member, word)
            case Progress():
                member.note(word)
            case Result():
                self._settle(member, word)
            case Broken(reason=reason, fatal=True):
                raise WorkersFail(reason)
            case Broken(reason=reason):
                self._bury(member, reason)
            case None if member in self._crew.members:
                self._bury(member, member.epitaph)

    def _welcome(self, member: Member, word: Ready) -> None:
        """The first worker to come tells what it will compute with; only then is the table
        touched."""
        identity = word.identity
        if self._identity is None:
            if self._manifest.bind(self._inputs.root, identity):
                log.warning(
                    "this is another machine than before (%s): where its CPU rounds otherwise, "
                    "the results are not those of one run on one machine",
                    identity.machine,
                )
            for note in word.notes:
                log.warning("%s", note)
            self._identity = identity
            self._plan()
        elif identity != self._identity:
            why = "; ".join(identity.differs_in(self._identity)) or identity.machine
            raise WorkersFail(f"a worker came up with other settings than the first: {why}")
        member.ready = True

    def _plan(self) -> None:
        """The table brought up to the inputs, and the queue made of it."""
        rows = {row.path: row for row in self._manifest.rows()}
        lost = [path for path, row in rows.items() if row.state == "done" and not self._has(row)]
        for file in self._inputs.files:
            row = rows.get(file.path)
            if row and (row.size_bytes, row.mtime_ns) != (file.size_bytes, file.mtime_ns):
                self._folder.forget(file.path)
        changes = self._manifest.merge(self._inputs.files, lost, self._retry_failed)
        if rows and changes.changed:
            log.warning("%d files have changed and are analysed again", len(changes.changed))
        if changes.lost:
            log.warning("%d results are gone and are made again", len(changes.lost))
        now = self._manifest.rows()
        self._ids = {row.path: row.stream_id for row in now}
        self._ledger = Ledger(now)
        waiting = [row for row in now if row.state == "queued"]
        waiting.sort(key=lambda row: row.size_bytes, reverse=True)
        self._queue.extend(row.path for row in waiting)

    def _has(self, row: Row) -> bool:
        return row.result is not None and self._folder.holds(row.path, row.result.part_bytes)

    def _settle(self, member: Member, result: Result) -> None:
        """The part first, durably, then the table: a kill between the two costs a second try, and
        never a result."""
        path, member.path = member.path, None
        assert path is not None
        part = None if result.part_sha256 is None else self._part(member)
        self._folder.settle(path, part, failed=result.error is not None)
        self._manifest.finish(path, result)
        self._ledger.close(path, result.decoded, result.error is not None)
        self._deaths_in_a_row = 0

    def _bury(self, member: Member, reason: str) -> None:
        path = member.path
        self._crew.dismiss(member)
        self._deaths_in_a_row += 1
        if path is not None:
            self._part(member).unlink(missing_ok=True)
            if self._manifest.died(path) < _MOST_DEATHS:
                self._queue.append(path)
            else:
                why = f"{reason} (twice over this file)"
                self._folder.forget(path)
                self._manifest.finish(path, Result(error=one_line(why)))
                self._ledger.close(path, 0, failed=True)
        if self._deaths_in_a_row >= _MOST_DEATHS_IN_A_ROW or (path is None and not member.ready):
            raise WorkersFail(f"{self._deaths_in_a_row} workers in a row died, the last: {reason}")

    def _kill_stalled(self) -> None:
        now_s = time.monotonic()
        for member in tuple(self._crew.members):
            idle = member.ready and member.path is None
            if not idle and now_s - member.moved_s > self._stall_s:
                what = "no frame was decoded" if member.ready else "the model was not loaded"
                self._bury(member, f"{what} for {self._stall_s:g} s")

    def _release(self) -> None:
        """Stopped: what workers have goes back into the queue."""
        for member in self._crew.members:
            if member.path is not None:
                self._manifest.give_back(member.path)
