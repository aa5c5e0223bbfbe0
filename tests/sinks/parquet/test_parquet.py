"""Parquet: lossless, whole at any time, and nothing lost by a crash."""

import json
import resource
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import SinkError, SinkUnavailable
from pipeline.core.messages import (
    Detection,
    EndOfStreamMessage,
    FrameMessage,
    Message,
    StreamStatusMessage,
    encode,
)
from sinks.base import Outgoing
from sinks.parquet import UNFINISHED, ParquetSink, PartLimits
from sinks.parquet.schema import COLUMNS, DETECTION, FRAME, ROWS_OF, Table
from sinks.parquet.tables import flatten
from tests.core.any_message import any_message
from tests.core.golden_messages import golden
from tests.services.parquet_rows import bodies, finished, rows_of
from tests.services.streams import bodies_by_stream, outgoing

ROOT = Path(__file__).resolve().parents[3]


class _Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic_s(self) -> float:
        return self.now_s

    def utc_ns(self) -> int:
        return 1_800_000_000_000_000_000


def _files(folder: Path, table: Table = "frames") -> list[Path]:
    return sorted((folder / table).rglob("*.parquet"))


def _written(folder: Path, messages: Sequence[Outgoing], **how: Any) -> ParquetSink:
    sink = ParquetSink(folder, **how)
    sink.open()
    sink.write(messages)
    return sink


def _told(message: Message) -> Message:
    """What a table keeps of it: a drop reason that was counted zero times is no column's news."""
    match message:
        case FrameMessage():
            drops = {r: n for r, n in message.dropped_since_last.items() if n}
            return message.model_copy(update={"dropped_since_last": drops})
        case EndOfStreamMessage():
            drops = {r: n for r, n in message.dropped.items() if n}
            return message.model_copy(update={"dropped": drops})
    return message


def _by_id(messages: Sequence[Message]) -> dict[str, Message]:
    return {message.message_id: message for message in messages}


def test_every_kind_comes_back_as_it_was(tmp_path: Path) -> None:
    _written(tmp_path, [Outgoing.of(message) for message in golden()]).close()
    assert _by_id(finished(tmp_path)) == _by_id(golden())


@settings(max_examples=15, deadline=None)
@given(st.lists(any_message, min_size=1, max_size=8, unique_by=lambda m: m.message_id))
def test_any_message_comes_back_as_it_was(messages: list[Message]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _written(Path(folder), [Outgoing.of(message) for message in messages]).close()
        assert _by_id(finished(Path(folder))) == _by_id([_told(message) for message in messages])


def test_no_field_of_the_contract_is_without_its_column() -> None:
    def names(model: type[Any]) -> set[str]:
        return {field.alias or name for name, field in model.model_fields.items()}

    assert set(FRAME.names) | {"kind", "stream_id"} == names(FrameMessage)
    assert set(DETECTION.names) == names(Detection)
    told: dict[str, set[str]] = {}
    for message in golden():
        if not isinstance(message, FrameMessage):
            row, columns = (
                flatten(json.loads(encode(message))),
                COLUMNS[ROWS_OF[message.kind]].names,
            )
            told.setdefault(message.kind, set()).update(row)
            assert set(row) <= set(columns)
            assert message.kind == "event" or set(row) == set(columns)
    assert told["event"] == set(COLUMNS["events"].names)


def test_files_are_filed_under_the_hour_of_capture(tmp_path: Path) -> None:
    messages = outgoing(["gate", "a/b %"], frames=3)
    hour = b'"captured_at":"2026-01-01T0'
    moved = [
        Outgoing(m.kind, m.key, m.message_id, m.body.replace(hour + b"0", hour + b"7"))
        if place % 3 == 0
        else m
        for place, m in enumerate(messages)
    ]
    _written(tmp_path, moved).close()
    places = Counter(str(path.parent.relative_to(tmp_path)) for path in _files(tmp_path))
    assert places == {
        f"frames/stream_id={stream}/date=2026-01-01/hour={hour}": 1
        for stream in ("gate", "a%2Fb%20%25")
        for hour in ("00", "07")
    }
    assert {row["stream_id"] for row in rows_of(tmp_path, "frames")} == {"gate", "a/b %"}
    assert bodies(tmp_path).keys() == bodies_by_stream(messages).keys()


@pytest.mark.parametrize(
    "limits", [PartLimits(rows=10), PartLimits(journal_bytes=4000), PartLimits(age_s=8)]
)
def test_parts_are_finished_in_time(tmp_path: Path, limits: PartLimits) -> None:
    messages, clock = outgoing(["gate"], frames=50), _Clock()
    sink = ParquetSink(tmp_path, limits=limits, clock=clock)
    sink.open()
    for message in messages[:-2]:
        sink.write([message])
        clock.now_s += 1
    assert 3 <= len(_files(tmp_path)) <= 12
    sink.write(messages[-2:])
    sink.close()
    assert bodies(tmp_path) == bodies_by_stream(messages)
    assert [path.name for path in (tmp_path / UNFINISHED).iterdir()] == ["lock"]


def test_the_end_of_a_stream_finishes_its_parts(tmp_path: Path) -> None:
    sink = _written(tmp_path, outgoing(["gate"], frames=5))
    assert _files(tmp_path) == []
    sink.write(outgoing(["yard"], frames=5)[:3])
    assert [path.parts[-4] for path in _files(tmp_path)] == ["stream_id=gate"]
    sink.close()


_KILLED = """
import sys
from pathlib import Path
from sinks.parquet import ParquetSink, PartLimits
from tests.services.streams import outgoing
sink = ParquetSink(Path(sys.argv[1]), limits=PartLimits(rows=25))
sink.open()
start = int(sys.argv[2])
for message in outgoing(["gate"], frames=1500)[start:]:
    sink.write([message])
    sink.flush(1)
    print(message.message_id, flush=True)
"""


def test_killed_again_and_again(tmp_path: Path) -> None:
    """What was flushed is there, once, and no file under a final name is ever broken."""
    acknowledged: list[str] = []
    for _ in range(3):
        command = [sys.executable, "-c", _KILLED, str(tmp_path), str(len(acknowledged))]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, pipesize=4096) as process:
            assert process.stdout is not None
            acknowledged += [process.stdout.readline().decode().strip() for _ in range(90)]
            process.send_signal(signal.SIGKILL)
            acknowledged += process.stdout.read().decode().split()
        for path in tmp_path.rglob("*.parquet"):
            pq.read_table(path, partitioning=None)
    last = ParquetSink(tmp_path)
    last.open()
    last.close()
    found = [message.message_id for message in finished(tmp_path)]
    assert set(acknowledged) <= set(found)
    # written, but killed before it could say so: told once more by the next run
    assert len(found) - len(set(found)) <= 3


def test_a_crash_between_two_renames_is_done_again(tmp_path: Path) -> None:
    messages = outgoing(["gate"], frames=9)
    sink = _written(tmp_path, messages)
    kept = {p: p.read_bytes() for p in (tmp_path / UNFINISHED).glob("*.jsonl")}
    sink.close()
    for path, lines in kept.items():  # as if the journals had not been removed yet
        path.write_bytes(lines)
    for path in _files(tmp_path, "detections"):
        path.unlink()
    (tmp_path / UNFINISHED / "frame-x.0.part").write_bytes(b"PAR1 torn")
    again = ParquetSink(tmp_path)
    again.open()
    again.close()
    assert bodies(tmp_path) == bodies_by_stream(messages)
    assert [path.name for path in (tmp_path / UNFINISHED).iterdir()] == ["lock"]


def test_a_torn_line_in_a_journal_is_cut(tmp_path: Path) -> None:
    messages = outgoing(["gate"], frames=9)
    journals = tmp_path / UNFINISHED
    journals.mkdir()
    frames = [message.body for message in messages if message.kind == "frame"]
    (journals / "frame-a.jsonl").write_bytes(b"\n".join(frames) + b'\n{"schema":"eyr')
    (journals / "event-b.jsonl").write_bytes(b'{"schema"')
    sink = ParquetSink(tmp_path)
    sink.open()
    sink.close()
    assert bodies(tmp_path)["gate"] == frames
    assert [path.name for path in journals.iterdir()] == ["lock"]


@pytest.mark.parametrize("line", [b"{no json\n", b"5\n", b'{"seq":"three"}\n', b'{"seq":3}\n'])
@pytest.mark.parametrize("kind", ["frame", "event"])
def test_a_damaged_line_is_set_aside_and_the_others_are_not(
    tmp_path: Path, kind: str, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    journals = tmp_path / UNFINISHED
    journals.mkdir()
    good = [m.body for m in map(Outgoing.of, golden()) if m.kind == kind]
    (journals / f"{kind}-a.jsonl").write_bytes(line + b"".join(body + b"\n" for body in good))
    sink = _written(tmp_path, outgoing(["yard"], frames=2))
    sink.close()
    assert (journals / f"{kind}-a.damaged").read_bytes() == line
    assert "keeps 1 lines that are no messages" in caplog.text
    assert sorted(bodies(tmp_path)["gate"]) == sorted(good)
    assert len(bodies(tmp_path)["yard"]) == 4
    assert sorted(path.name for path in journals.iterdir()) == [f"{kind}-a.damaged", "lock"]


@contextmanager
def _largest_file(size_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_waited_for(tmp_path: Path) -> None:
    messages = outgoing(["gate", "yard"], frames=40)
    sink = _written(tmp_path, messages[:20], limits=PartLimits(rows=5))
    with _largest_file(1000), pytest.raises(SinkUnavailable, match="File too large"):
        sink.write(messages[20:])  # the part that is due cannot be finished
    assert list((tmp_path / UNFINISHED).glob("*.part")) == []
    sink.write(messages[20:40])
    with _largest_file(9000), pytest.raises(SinkUnavailable, match="File too large"):
        sink.write([*messages[40:], *messages[40:]])
    sink.write(messages[40:])
    sink.close()
    assert bodies(tmp_path) == bodies_by_stream(messages)


def test_a_part_that_cannot_be_finished_at_the_end_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    messages = outgoing(["gate"], frames=40)
    sink = _written(tmp_path, messages)
    with _largest_file(1000):
        sink.close()
    assert "the next start goes on with it" in caplog.text
    again = ParquetSink(tmp_path)
    again.open()
    again.close()
    assert bodies(tmp_path) == bodies_by_stream(messages)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    first, second = ParquetSink(tmp_path), ParquetSink(tmp_path)
    first.open()
    with pytest.raises(SinkError, match="another process"):
        second.open()
    first.close()
    second.open()
    second.close()


def test_status_messages_keep_their_measurements(tmp_path: Path) -> None:
    _written(tmp_path, [Outgoing.of(message) for message in golden()]).close()
    told = [m for m in golden() if isinstance(m, StreamStatusMessage) and m.metrics]
    rows = [row for row in rows_of(tmp_path, "stream_status") if row["metrics"] != "{}"]
    assert [json.loads(row["metrics"]) for row in rows] == [message.metrics for message in told]
