"""JSON Lines on real files, full disks and broken pipes."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.core.errors import SinkUnavailable
from pipeline.core.messages import decode
from sinks.jsonl import JsonLinesSink
from tests.services.streams import outgoing

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def _largest_file(size_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_run_replaces_the_run_before(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    first, second = outgoing(["gate"], frames=3), outgoing(["yard"], frames=1)
    for messages in (first, second):
        sink = JsonLinesSink(str(path))
        sink.open()
        sink.write(messages)
        sink.close()
    assert path.read_bytes().splitlines() == [message.body for message in second]


def test_every_line_is_a_message(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    messages = outgoing(["gate", "ünïcode"], frames=3)
    sink = JsonLinesSink(str(path))
    sink.open()
    sink.write(messages)
    sink.close()
    lines = path.read_bytes().splitlines()
    assert [decode(line).message_id for line in lines] == [each.message_id for each in messages]


def test_a_write_that_fails_half_way_leaves_no_trace(tmp_path: Path) -> None:
    sink = JsonLinesSink(str(tmp_path / "{stream_id}.jsonl"))
    first, second = outgoing(["a", "b"], frames=1), outgoing(["a", "b"], frames=40)
    sink.open()
    sink.write(first)
    with _largest_file(5000), pytest.raises(SinkUnavailable, match=r"a\.jsonl: File too large"):
        sink.write(second)
    sink.write(second)
    sink.close()
    lines = (tmp_path / "a.jsonl").read_bytes().splitlines()
    assert lines == [message.body for message in first + second if message.key == "a"]


def test_disk_full() -> None:
    sink = JsonLinesSink("/dev/full", name="disk")
    sink.open()
    with pytest.raises(SinkUnavailable, match="'disk': /dev/full: No space left on device"):
        sink.write(outgoing(["gate"], frames=1))
    sink.close()


@pytest.mark.parametrize("path", ["{file}/out.jsonl", "{file}/sub/{{stream_id}}.jsonl"])
def test_a_folder_that_cannot_be_made(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    sink = JsonLinesSink(path.format(file=tmp_path / "file"))
    with pytest.raises(SinkUnavailable, match=r"Not a directory|File exists"):
        sink.open()
    sink.close()


def test_unknown_placeholder() -> None:
    with pytest.raises(ValueError, match=r"unknown placeholder \{camera\}"):
        JsonLinesSink("{camera}.jsonl")


_TO_STDOUT = """
from pipeline.core.errors import SinkGone
from sinks.jsonl import JsonLinesSink
from tests.services.streams import outgoing
import sys
sink = JsonLinesSink("-")
sink.open()
sys.stdin.readline()
try:
    sink.write(outgoing(["gate"], frames=2))
    sink.flush(1)
except SinkGone as error:
    sys.exit(str(error))
sink.close()
"""


def _to_stdout() -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", _TO_STDOUT]
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)


def test_stdout() -> None:
    out, error = _to_stdout().communicate(b"go\n")
    assert out.splitlines() == [message.body for message in outgoing(["gate"], frames=2)]
    assert error == b""


def test_a_reader_that_leaves_is_one_clear_line() -> None:
    with _to_stdout() as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(b"go\n")
        process.stdin.flush()
        error = process.stderr.read().decode()
    assert error == "sink 'jsonl': the reader of standard output is gone\n"
