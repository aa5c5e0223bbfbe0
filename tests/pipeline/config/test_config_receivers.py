"""Sections of webhook, Parquet and rotated JSON lines: what is wrong is said, and no secret is."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.build.sinks import make_sinks
from pipeline.build.streams import expand_streams
from pipeline.config import PipelineConfig
from pipeline.config.file import parse_config
from pipeline.core.errors import ConfigError

SECRET = "hunter2-hunter2-hunter2"
WEBHOOK = {"kind": "webhook", "url": "https://example.org/x"}
JSONL = {"kind": "jsonl", "path": "a.jsonl"}
ROTATED = JSONL | {"when_exists": "append", "rotate_mb": 10}


def _config(*sinks: dict[str, Any]) -> PipelineConfig:
    streams = [{"id": "gate", "source": {"kind": "rtsp", "url": "rtsp://camera/1"}}]
    return parse_config({"streams": streams, "sinks": list(sinks)})


@pytest.mark.parametrize(
    ("sink", "said"),
    [
        (WEBHOOK | {"url": "ftp://a"}, "url: "),
        (WEBHOOK | {"url": "https://"}, "url: "),
        (
            WEBHOOK | {"url": f"https://me:{SECRET}@a/"},
            "url: the address needs a host and takes no",
        ),
        (WEBHOOK | {"url": "https://a:99999/"}, "url: "),
        (WEBHOOK | {"url": f"https://a/{SECRET} x"}, "url: "),
        (WEBHOOK | {"secret": 12345678901234567890}, "secret: "),
        (WEBHOOK | {"secret": "hunter2"}, "secret: too short to sign with"),
        (WEBHOOK | {"headers": {"X-Token": 12345678901234567890}}, "headers.X-Token: "),
        (
            WEBHOOK | {"headers": {"X-Token": f"{SECRET}\nHost: a"}},
            "headers: the value of 'X-Token'",
        ),
        (WEBHOOK | {"headers": {"X-Token": f" {SECRET}"}}, "headers: the value of 'X-Token'"),
        (WEBHOOK | {"headers": {"X Token": SECRET}}, "headers: 'X Token' is no header"),
        (WEBHOOK | {"headers": {"Content-Type": SECRET}}, "headers: 'Content-Type' is no header"),
        (WEBHOOK | {"url": "http://a/", "tls": {}}, "tls is for an address that begins with https"),
        (WEBHOOK | {"batch_messages": 0}, "batch_messages: "),
        (JSONL | {"rotate_mb": 10}, "rotate_mb and rotate_s need when_exists: append"),
        (JSONL | {"keep": 3}, "keep and compress are for rotated files"),
        (JSONL | {"compress": "gzip"}, "keep and compress are for rotated files"),
        (ROTATED | {"path": "-"}, "standard output is neither"),
        (ROTATED | {"rotate_mb": 0}, "rotate_mb: "),
        ({"kind": "parquet", "folder": "s3://bucket/a"}, "folder: is an address"),
        ({"kind": "parquet", "folder": "a", "rotate_rows": 0}, "rotate_rows: "),
    ],
)
def test_what_is_wrong_is_said(sink: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        _config(sink)
    assert str(raised.value).startswith("sinks[0]")
    assert said in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert "12345678901234567890" not in str(raised.value)


def test_every_key_reaches_its_sink(tmp_path: Path) -> None:
    config = _config(
        WEBHOOK
        | {"secret": SECRET, "headers": {"Authorization": f"Bearer {SECRET}"}, "tls": {}}
        | {"body": "ndjson", "batch_messages": 7, "linger_s": 2},
        ROTATED | {"rotate_s": 3600, "keep": 7, "compress": "gzip"},
        {"kind": "parquet", "folder": str(tmp_path), "rotate_rows": 5, "compression": "snappy"},
    )
    sinks = [sink for sink, _ in make_sinks(config)]
    assert [sink.name for sink in sinks] == ["webhook", "jsonl", "parquet"]
    assert SECRET not in repr(config)


@pytest.mark.parametrize("other", [{"kind": "parquet", "folder": "./tables"}, None])
def test_two_sinks_never_write_to_one_place(other: dict[str, Any] | None) -> None:
    parquet = {"kind": "parquet", "folder": "tables"}
    first, second = (parquet, other) if other else (JSONL, ROTATED)
    with pytest.raises(ConfigError, match=r"sinks\[1\]\.(folder|path): .* sinks\[0\] writes"):
        expand_streams(_config(first, second))
