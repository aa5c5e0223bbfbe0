"""The state of a batch on disk: one SQLite file in the folder of results.

One writer, the coordinator. Every change is one transaction, so the file is right after any kill,
and it can be read meanwhile: `sqlite3 manifest.sqlite 'select path, state, reason from files'`.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pipeline.batch.inputs import Input, stream_id
from pipeline.batch.result import CannotWrite, Result
from pipeline.batch.settings import Identity
from pipeline.core.errors import ConfigError

FORMAT: Final = "1"
State = Literal["queued", "running", "done", "failed"]

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE files (
  path BLOB PRIMARY KEY,           -- below the root, as bytes: a name need not be text
  stream_id TEXT NOT NULL UNIQUE,
  size_bytes INTEGER NOT NULL,
  mtime_ns INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed')),
  deaths INTEGER NOT NULL DEFAULT 0,   -- workers that died over it
  reason TEXT,                     -- why it failed
  result TEXT                      -- JSON, of done and failed
) WITHOUT ROWID;
CREATE INDEX by_state ON files (state);
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One file of the batch."""

    path: str
    stream_id: str
    size_bytes: int
    mtime_ns: int
    state: State
    deaths: int
    reason: str | None
    result: Result | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What is different from the last time: paths of files new, changed, and with lost results."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    lost: tuple[str, ...]


class Manifest:
    """The table of files. Opened by one process at a time, which holds the folder's lock.

    Every method may raise `CannotWrite` when the disk is full or gone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._telling():
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA synchronous = FULL")
            with self._change():
                if not self._db.execute("SELECT name FROM sqlite_master").fetchone():
                    for statement in _SCHEMA.split(";"):
                        self._db.execute(statement)

    def close(self) -> None:
        self._db.close()

    def bind(self, root: Path, identity: Identity) -> bool:
        """Make this the manifest of that root and identity, or check that it is. True: the machine
        is another one than before. Raises `ConfigError` when the batch was made otherwise."""
        told = {
            "format": FORMAT,
            "root": json.dumps(str(root)),
            "deciding": json.dumps(identity.deciding, sort_keys=True),
            "machine": identity.machine,
        }
        with self._telling():
            known = dict(self._db.execute("SELECT key, value FROM meta").fetchall())
            if not known:
                with self._change():
                    rows = told.items()
                    self._db.executemany("INSERT INTO meta VALUES (?, ?)", rows)
                return False
        where = str(self.path.parent)
        if known["format"] != FORMAT:
            raise ConfigError("--resume", f"{where} was made by another version of Eyrie")
        if known["root"] != told["root"]:
            before = json.loads(known["root"])
            raise ConfigError("--resume", f"{where} is a batch over {before!r}, not {str(root)!r}")
        before = Identity(json.loads(known["deciding"]), known["machine"])
        if differences := before.differs_in(identity):
            more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
            why = f"{where} was made with {differences[0]}{more}: use that, or another --out"
            raise ConfigError("--resume", why)
        return before.machine != identity.machine

    def merge(self, inputs: Sequence[Input], lost: Sequence[str], retry_failed: bool) -> Changes:
        """Bring the table up to the files found now: new ones and changed ones are queued, also
        those that were running, that `lost` their results, and on request those that failed. Files
        that are no longer there keep their rows."""
        known = {row.path: row for row in self.rows()}
        new = [file for file in inputs if file.path not in known]
        changed = [
            file
            for file in inputs
            if (row := known.get(file.path)) and _identity(row) != (file.size_bytes, file.mtime_ns)
        ]
        with self._telling(), self._change():
            self._db.executemany(
                "INSERT INTO files (path, stream_id, size_bytes, mtime_ns, state)"
                " VALUES (?, ?, ?, ?, 'queued')",
                [(_raw(f.path), stream_id(f.path), f.size_bytes, f.mtime_ns) for f in new],
            )
            self._db.executemany(
                "UPDATE files SET size_bytes = ?, mtime_ns = ?, deaths = 0 WHERE path = ?",
                [(file.size_bytes, file.mtime_ns, _raw(file.path)) for file in changed],
            )
            again = [_raw(path) for path in (*(file.path for file in changed), *lost)]
            if retry_failed:
                again += [_raw(row.path) for row in known.values() if row.state == "failed"]
            again += [_raw(row.path) for row in known.values() if row.state == "running"]
            self._db.executemany(
                "UPDATE files SET state = 'queued', reason = NULL, result = NULL,"
                " deaths = CASE state WHEN 'failed' THEN 0 ELSE deaths END WHERE path = ?",
                [(path,) for path in again],
            )
        paths = tuple(file.path for file in new), tuple(file.path for file in changed)
        return Changes(*paths, tuple(lost))

    def rows(self) -> list[Row]:
        """All files, ordered by path."""
        with self._telling():
            found = self._db.execute(
                "SELECT path, stream_id, size_bytes, mtime_ns, state, deaths, reason, result"
                " FROM files ORDER BY path"
            ).fetchall()
        return [_row(columns) for columns in found]

    def start(self, path: str) -> None:
        """A worker has it now."""
        self._set(path, "running")

    def give_back(self, path: str) -> None:
        """No worker has it any longer, and none has died over it."""
        self._set(path, "queued")

    def finish(self, path: str, result: Result) -> None:
        """It is done, or with an error failed; its part is where it belongs already."""
        state: State = "failed" if result.error else "done"
        said = json.dumps({name: getattr(result, name) for name in Result.__slots__})
        with self._telling(), self._change():
            self._db.execute(
                "UPDATE files SET state = ?, reason = ?, result = ? WHERE path = ?",
                (state, result.error, said, _raw(path)),
            )
            if result.content:
                self._db.execute(
                    "UPDATE files SET size_bytes = ?, mtime_ns = ? WHERE path = ?",
                    (result.size_bytes, result.mtime_ns, _raw(path)),
                )

    def died(self, path: str) -> int:
        """A worker has died over it; it is queued again. How many have by now."""
        with self._telling(), self._change():
            self._db.execute(
                "UPDATE files SET state = 'queued', deaths = deaths + 1 WHERE path = ?",
                (_raw(path),),
            )
            found = self._db.execute("SELECT deaths FROM files WHERE path = ?", (_raw(path),))
            return int(found.fetchone()[0])

    def _set(self, path: str, state: State) -> None:
        with self._telling(), self._change():
            self._db.execute("UPDATE files SET state = ? WHERE path = ?", (state, _raw(path)))

    @contextmanager
    def _change(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise CannotWrite(self.path, error) from error


def _identity(row: Row) -> tuple[int, int]:
    return row.size_bytes, row.mtime_ns


def _raw(path: str) -> bytes:
    return os.fsencode(path)


def _row(columns: Sequence[Any]) -> Row:
    path, *rest, result = columns
    stream, size_bytes, mtime_ns, state, deaths, reason = rest
    kept = None if result is None else _result(result)
    return Row(os.fsdecode(path), stream, size_bytes, mtime_ns, state, deaths, reason, kept)


def _result(text: str) -> Result:
    fields: dict[str, Any] = json.loads(text)
    return Result(**{**fields, "notes": tuple(fields["notes"])})
