"""JSON lines that are appended to and rotated: restarts, crashes, full disks, compressed files."""

import gzip
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zstandard

from pipeline.core.errors import SinkUnavailable
from pipeline.core.messages import decode
from sinks.base import Outgoing
from sinks.jsonl import JsonLinesSink
from sinks.line_file import Compression, Rotation
from tests.services.streams import outgoing

ROOT = Path(__file__).resolve().parents[2]
DAY_S = 86_400


class _Clock:
    """Wall clock at `utc_s`; the tests move it."""

    def __init__(self, utc_s: float = 1_800_000_000) -> None:
        self.utc_s = utc_s

    def monotonic_s(self) -> float:
        return self.utc_s

    def utc_ns(self) -> int:
        return round(self.utc_s * 1e9)


def _sink(
    path: Path, rotation: Rotation | None = None, clock: _Clock | None = None
) -> JsonLinesSink:
    sink = JsonLinesSink(str(path), append=True, rotation=rotation, clock=clock)
    sink.open()
    return sink


def _write(path: Path, messages: list[Outgoing], rotation: Rotation | None = None) -> None:
    sink = _sink(path, rotation)
    sink.write(messages)
    sink.close()


def _lines(folder: Path) -> list[bytes]:
    """Of all files, the oldest first: the one that is written to has the shortest name."""
    readers: dict[str, Callable[[bytes], bytes]] = {
        ".gz": gzip.decompress,
        ".zst": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    }
    *aside, now = sorted(folder.iterdir(), key=lambda p: (p.suffixes == [".jsonl"], p.name))
    return [
        line
        for path in (*aside, now)
        for line in readers.get(path.suffix, bytes)(path.read_bytes()).splitlines()
    ]


def test_a_restart_goes_on_at_the_end(tmp_path: Path) -> None:
    messages = outgoing(["gate"], frames=6)
    for part in (messages[:3], messages[3:]):
        _write(tmp_path / "out.jsonl", part)
    assert _lines(tmp_path) == [message.body for message in messages]


@pytest.mark.parametrize("torn_bytes", [1, 70_000])
def test_a_torn_line_is_cut_at_the_start(
    tmp_path: Path, torn_bytes: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "out.jsonl"
    messages = outgoing(["gate"], frames=6)
    _write(path, messages[:3])
    with path.open("ab") as file:
        file.write(b"x" * torn_bytes)
    _write(path, messages[3:])
    assert _lines(tmp_path) == [message.body for message in messages]
    assert f"cut off {torn_bytes} bytes" in caplog.text


def test_a_file_of_one_torn_line_is_emptied(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b'{"schema')
    _sink(path).close()
    assert path.read_bytes() == b""


_KILLED = """
import sys
from sinks.jsonl import JsonLinesSink
from tests.services.streams import outgoing
sink = JsonLinesSink(sys.argv[1], append=True)
sink.open()
messages = outgoing(["gate"], frames=200)
print("open", flush=True)
while True:
    sink.write(messages)
"""


def test_killed_while_it_writes(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    for _ in range(2):
        command = [sys.executable, "-c", _KILLED, str(path)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            before = path.stat().st_size if path.exists() else 0
            process.stdout.readline()
            while path.stat().st_size < before + 500_000:
                assert process.poll() is None
            process.send_signal(signal.SIGKILL)
        last = outgoing(["last"], frames=0)
        _write(path, last)
        lines = path.read_bytes().splitlines()
        assert lines[-2:] == [message.body for message in last]
        assert {decode(line).stream_id for line in lines[-500:]} == {"gate", "last"}


def test_a_second_process_is_told_to_go_away(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    first = _sink(path)
    with pytest.raises(SinkUnavailable, match=r"out\.jsonl: another process appends to it"):
        _sink(path)
    first.close()
    _sink(path).close()


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_rotation_by_size_loses_and_tears_nothing(tmp_path: Path, compression: Compression) -> None:
    messages = outgoing(["gate"], frames=60)
    rotation = Rotation(max_bytes=6000, compression=compression)
    for start in range(0, len(messages), 20):
        sink = _sink(tmp_path / "out.jsonl", rotation)
        for place in range(start, min(start + 20, len(messages)), 3):
            sink.write(messages[place : min(place + 3, start + 20)])
        sink.close()
    assert _lines(tmp_path) == [message.body for message in messages]
    suffix = {"none": ".jsonl", "gzip": ".gz", "zstd": ".zst"}[compression]
    aside = [path for path in tmp_path.iterdir() if path.name != "out.jsonl"]
    assert len(aside) > 3
    assert {path.suffix for path in aside} == {suffix}
    assert (tmp_path / "out.jsonl").stat().st_size <= 6000


def test_the_oldest_files_go(tmp_path: Path) -> None:
    messages = outgoing(["gate"], frames=60)
    rotation = Rotation(max_bytes=1, keep=3, compression="gzip")
    sink = _sink(tmp_path / "out.jsonl", rotation)
    for message in messages:
        sink.write([message])
    sink.close()
    assert _lines(tmp_path) == [message.body for message in messages[-4:]]


def test_a_file_for_each_day_whatever_is_restarted(tmp_path: Path) -> None:
    messages = outgoing(["gate"], frames=8)
    path, rotation = tmp_path / "out.jsonl", Rotation(period_s=DAY_S)
    clock = _Clock(20_000 * DAY_S + DAY_S - 10)
    for message in messages:
        sink = _sink(path, rotation, clock)
        sink.write([message])
        sink.close()
        os.utime(path, (clock.utc_s, clock.utc_s))
        clock.utc_s += 4
    before = next(p for p in tmp_path.iterdir() if p != path)
    assert [len(p.read_bytes().splitlines()) for p in (before, path)] == [3, 7]
    assert before.name == "out.20241005T000002.000000Z.jsonl"


def test_a_stream_has_its_own_rotated_files(tmp_path: Path) -> None:
    messages = outgoing(["gate", "gate.1"], frames=10)
    rotation = Rotation(max_bytes=1, keep=2)
    sink = JsonLinesSink(str(tmp_path / "{stream_id}.jsonl"), append=True, rotation=rotation)
    sink.open()
    for message in messages:
        sink.write([message])
    sink.close()
    names = [path.name for path in tmp_path.iterdir()]
    assert len([name for name in names if name.startswith("gate.2")]) == 2
    assert len([name for name in names if name.startswith("gate.1.2")]) == 2


def test_what_a_crash_left_uncompressed_is_compressed_later(tmp_path: Path) -> None:
    messages = outgoing(["gate"], frames=6)
    path = tmp_path / "out.jsonl"
    _write(path, messages[:4], Rotation(max_bytes=1))
    _write(path, messages[4:], Rotation(max_bytes=1, compression="gzip"))
    (aside,) = [p for p in tmp_path.iterdir() if p != path]
    assert aside.suffix == ".gz"
    assert _lines(tmp_path) == [message.body for message in messages]


@contextmanager
def _largest_file(size_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_room_to_compress_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    messages = outgoing(["gate"], frames=300)
    path = tmp_path / "out.jsonl"
    sink = _sink(path, Rotation(max_bytes=1, compression="gzip"))
    sink.write(messages[:300])
    with _largest_file(2000):
        sink.write(messages[300:])
    sink.close()
    assert "cannot tidy rotated files: File too large" in caplog.text
    assert [p.suffix for p in tmp_path.iterdir() if p != path] == [".jsonl"]
    assert _lines(tmp_path) == [message.body for message in messages]


def test_rotation_needs_append() -> None:
    with pytest.raises(ValueError, match="only where they are appended to"):
        JsonLinesSink("out.jsonl", rotation=Rotation(max_bytes=1))
