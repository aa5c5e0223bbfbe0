"""Streams and files of a configuration once its patterns are looked up: none in another's way."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.build.streams import expand_streams
from pipeline.config import FileSourceConfig
from pipeline.config.file import parse_config
from pipeline.core.errors import ConfigError


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


def expanded(streams: list[dict[str, Any]], *sinks: dict[str, Any]) -> list[str]:
    config = parse_config({"streams": streams, "sinks": list(sinks)})
    return [stream.id for stream in expand_streams(config)]


def test_a_folder_becomes_a_stream_for_each_file(tmp_path: Path) -> None:
    source = {"kind": "files", "pattern": str(files(tmp_path, "b.mp4", "c.mp4"))}
    assert expanded([{"id": "a", "source": source}]) == ["a-b", "a-c"]


def test_ids_must_differ_and_fit_after_expansion_too(tmp_path: Path) -> None:
    source = {"kind": "files", "pattern": str(files(tmp_path, "b.mp4"))}
    with pytest.raises(ConfigError, match="two streams get the id 'a-b'"):
        expanded([{"id": "a", "source": source}, {"id": "a-b", "source": {"kind": "street"}}])
    with pytest.raises(ConfigError, match="longer than 128"):
        expanded([{"id": "a" * 127, "source": source}])


def test_a_video_of_several_files_needs_their_ids_in_its_path(tmp_path: Path) -> None:
    source = {"kind": "files", "pattern": str(files(tmp_path, "b.mp4", "c.mp4"))}
    with pytest.raises(ConfigError, match=r"^sinks\[0\]\.path: a video of several streams needs"):
        expanded([{"id": "a", "source": source}], {"kind": "video", "path": "x.mp4"})


@pytest.mark.parametrize("kind", ["jsonl", "video"])
def test_no_sink_writes_over_a_source(tmp_path: Path, kind: str) -> None:
    folder = files(tmp_path, "a.mp4")
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    stream = {"id": "a", "source": {"kind": "file", "path": str(folder / "a.mp4")}}
    sink = {"kind": kind, "path": f"{tmp_path}/link/{{stream_id}}.mp4"}
    with pytest.raises(ConfigError, match=r"a\.mp4', which stream 'a' reads"):
        expanded([stream], sink)


def test_no_sink_writes_over_the_file_of_another(tmp_path: Path) -> None:
    stream = {"id": "a", "source": {"kind": "street"}}
    sinks = [{"kind": "jsonl", "path": f"{tmp_path}/{name}"} for name in ("{stream_id}", "a")]
    with pytest.raises(ConfigError, match=r"^sinks\[1\]\.path: .*, which sinks\[0\] writes"):
        expanded([stream], *sinks)
    assert expanded([stream], {"kind": "jsonl", "path": "-"}) == ["a"]


@pytest.mark.parametrize(
    ("cores", "files", "at_once", "threads"),
    [
        (2, 2, 1, 1),
        (2, 2, 8, 1),
        (2, 4, 8, 1),
        (16, 2, 8, 4),
        (16, 100, 8, 2),
        (16, 100, 100, 1),
        (4, 2, 1, 4),
    ],
)
def test_files_that_are_decoded_at_once_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, files: int, at_once: int, threads: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(cores)))
    source = {"kind": "file", "path": "a.mp4"}
    streams = [{"id": f"s{n}", "source": source} for n in range(files - 1)]
    streams.append({"id": "asked", "source": {**source, "decoder_threads": 3}})
    config = parse_config({"streams": streams, "sinks": [], "parallel_files": at_once})
    sources = [stream.source for stream in expand_streams(config)]
    found = [source.decoder_threads for source in sources if isinstance(source, FileSourceConfig)]
    assert found == [threads] * (files - 1) + [3]
