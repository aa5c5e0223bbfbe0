"""How far a batch is, in frames; what is not known yet is estimated from the bytes of the files."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.batch.manifest import Row
from pipeline.batch.result import Progress


@dataclass(frozen=True, slots=True)
class Account:
    """Now: files by state, frames decoded, and frames in all, None while there is no telling."""

    done: int
    failed: int
    files: int
    frames: int
    frames_expected: int | None


class Ledger:
    """Keeps the account up to date without reading the manifest again."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._files = len(rows)
        self._done = self._failed = 0
        self._decoded = 0
        self._known_bytes = 0
        self._open = {row.path: row.size_bytes for row in rows}
        for row in rows:
            if row.state in ("done", "failed"):
                self.close(row.path, row.result.decoded if row.result else 0, row.state == "failed")

    def close(self, path: str, decoded: int, failed: bool) -> None:
        """A file is over."""
        size_bytes = self._open.pop(path)
        self._decoded += decoded
        if decoded:
            self._known_bytes += size_bytes
        if failed:
            self._failed += 1
        else:
            self._done += 1

    def account(self, running: Iterable[tuple[str, Progress]]) -> Account:
        """The account, with the files that workers have."""
        now = {path: progress for path, progress in running if path in self._open}
        decoded = self._decoded + sum(progress.decoded for progress in now.values())
        told = {path: p.expected for path, p in now.items() if p.expected}
        known = self._decoded + sum(told.values())
        known_bytes = self._known_bytes + sum(self._open[path] for path in told)
        unknown_bytes = sum(self._open.values()) - sum(self._open[path] for path in told)
        expected = None
        if known_bytes:
            expected = max(decoded, known + round(unknown_bytes * known / known_bytes))
        return Account(self._done, self._failed, self._files, decoded, expected)
