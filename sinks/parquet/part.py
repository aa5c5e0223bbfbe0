"""A journal becomes Parquet files: all of them or, as long as the journal is there, once more."""

import os
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.core.messages import Kind, decode
from sinks.parquet.schema import TIME_OF, Table
from sinks.parquet.tables import read_tables
from sinks.paths import file_stem

Codec = Literal["zstd", "snappy", "none"]

_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class _File:
    """One file that is being written, and where it belongs."""

    writer: pq.ParquetWriter
    part: Path
    final: Path


def finish(journal: Path, kind: Kind, stream_id: str, folder: Path, codec: Codec) -> list[Path]:
    """Write what is in `journal`, messages of one kind and stream, below `folder`, one file for
    each table and hour: the files.

    They are named after the journal, so that doing it again replaces them by the same. They are
    written beside the journal and get their names when they are whole and on the disk; only then
    the journal is removed. Raises `OSError`, and `ValueError` for what is no message; both leave
    the journal.
    """
    writers = _Writers(journal, folder, stream_id, codec)
    try:
        with writers:
            for table, rows in read_tables(journal, kind):
                writers.write(table, rows)
        for file in writers.files:
            _sync(file.part)
    except BaseException as error:
        for file in writers.files:
            file.part.unlink(missing_ok=True)
        if isinstance(error, pa.ArrowException):
            raise ValueError(str(error)) from error
        raise
    for file in writers.files:
        file.final.parent.mkdir(parents=True, exist_ok=True)
        file.part.rename(file.final)
        _sync(file.final.parent)
    journal.unlink()
    return [file.final for file in writers.files]


def set_aside(journal: Path) -> tuple[Path, int]:
    """Take what is no message out of a journal, into `NAME.damaged` beside it: that file, and the
    number of lines. Raises `OSError`."""
    good, bad = [], []
    for line in journal.read_bytes().splitlines(keepends=True):
        try:
            decode(line)
        except ValueError:
            bad.append(line)
        else:
            good.append(line)
    damaged, mended = journal.with_suffix(".damaged"), journal.with_suffix(".part")
    for path, lines in ((damaged, bad), (mended, good)):
        path.write_bytes(b"".join(lines))
        _sync(path)
    mended.rename(journal)
    return damaged, len(bad)


class _Writers:
    """A writer for each table and hour, open until the block is left."""

    def __init__(self, journal: Path, folder: Path, stream_id: str, codec: Codec) -> None:
        self._journal, self._folder, self._codec = journal, folder, codec
        self._stream_id = stream_id
        self._files: dict[tuple[Table, datetime], _File] = {}
        self._stack = ExitStack()

    @property
    def files(self) -> list[_File]:
        return list(self._files.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, table: Table, rows: pa.Table) -> None:
        hours = pc.floor_temporal(rows[TIME_OF[table]], unit="hour")
        if hours.null_count:
            raise ValueError("a message without its time")
        different = pc.unique(hours).to_pylist()
        for hour in different:
            some = rows if len(different) == 1 else rows.filter(pc.equal(hours, hour))
            self._file(table, hour, rows.schema).writer.write_table(some)

    def _file(self, table: Table, hour: datetime, schema: pa.Schema) -> _File:
        file = self._files.get((table, hour))
        if file is None:
            stem = self._journal.stem
            part = self._journal.with_name(f"{stem}.{len(self._files)}.part")
            final = self._folder / table / _partition(self._stream_id, hour) / f"{stem}.parquet"
            writer = self._stack.enter_context(
                pq.ParquetWriter(part, schema, compression=self._codec)
            )
            file = self._files[table, hour] = _File(writer, part, final)
        return file


def _partition(stream_id: str, hour: datetime) -> Path:
    """Folders as Hive names them; readers undo the percent signs."""
    quoted = quote(stream_id, safe="")
    if len(quoted) > _LONGEST_NAME:
        quoted = file_stem(stream_id)
    return Path(f"stream_id={quoted}", f"date={hour:%Y-%m-%d}", f"hour={hour:%H}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
