"""Without the packages of an extra, its sink says in one line what to install."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.core.errors import SinkError
from sinks.base import Sink
from sinks.jsonl import JsonLinesSink
from sinks.line_file import Rotation
from sinks.parquet import ParquetSink
from sinks.webhook import WebhookSink

ROOT = Path(__file__).resolve().parents[2]


def _rotated(folder: Path) -> Sink:
    rotation = Rotation(max_bytes=1000, compression="zstd")
    return JsonLinesSink(str(folder / "a.jsonl"), append=True, rotation=rotation)


@pytest.mark.parametrize(
    ("package", "make", "extra"),
    [
        ("httpx", lambda _: WebhookSink("http://localhost:1/"), "webhook"),
        ("pyarrow", ParquetSink, "parquet"),
        ("zstandard", _rotated, "zstd"),
    ],
)
def test_a_missing_package_is_one_line(
    package: str,
    make: Callable[[Path], Sink],
    extra: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    sink = make(tmp_path)
    with pytest.raises(SinkError, match=rf"pip install 'eyrie\[{extra}\]'$") as raised:
        sink.open()
    assert not raised.value.retryable
    sink.close()


@pytest.mark.parametrize(
    ("imported", "packages"),
    [
        (
            "pipeline.run.runner, sinks.webhook, sinks.parquet, sinks.jsonl",
            {"httpx", "pyarrow", "zstandard"},
        ),
        (
            "pipeline.config",
            {"redis", "kafka", "paho", "httpx", "av", "cv2", "onnxruntime", "torch"},
        ),
    ],
)
def test_clients_are_loaded_by_those_who_use_them(imported: str, packages: set[str]) -> None:
    code = f"import sys, {imported}; print({packages!r} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
