"""Which files a batch finds, and the names and places that they get."""

import os
import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.batch.inputs import find, place, size_and_time, stream_id
from pipeline.config import LONGEST_ID, Identifier
from pipeline.core.errors import ConfigError

ODD = ("a b.mp4", "zeile\numbruch.mp4", "ünïcödé 漢字.mkv", "-dash.mp4", "{x}.mp4", "[1].MP4")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def paths(source: str) -> list[str]:
    return [file.path for file in find(source).files]


def test_a_folder_gives_the_videos_of_all_folders_below(tmp_path: Path) -> None:
    touch(tmp_path, "b.mp4", "a/b.mp4", "a/b.mkv", "a/c/b.MP4", "a/notes.txt", ".hidden.mp4")
    touch(tmp_path, ".cache/x.mp4")
    assert paths(str(tmp_path)) == ["a/b.mkv", "a/b.mp4", "a/c/b.MP4", "b.mp4"]
    assert find(str(tmp_path)).root == tmp_path


def test_odd_names_are_found_and_get_ids_that_messages_can_have(tmp_path: Path) -> None:
    odd = (*ODD, os.fsdecode(b"latin\xe9.mp4"))
    touch(tmp_path, *odd)
    found = paths(str(tmp_path))
    assert sorted(found) == sorted(odd)
    ids = [stream_id(path) for path in found]
    assert len(set(ids)) == len(ids)
    pattern = get_args(Identifier)[1].pattern
    assert all(re.fullmatch(pattern, name) for name in ids)


@given(st.text(st.characters(exclude_characters="\0/", codec="utf-8"), min_size=1, max_size=300))
def test_every_name_has_an_id_that_a_stream_can_have(name: str) -> None:
    assert len(stream_id(name)) <= LONGEST_ID
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", stream_id(name))


def test_ids_that_look_alike_differ() -> None:
    names = ["a b.mp4", "a_b.mp4", "a/b.mp4", "a-b.mp4", "a\nb.mp4"]
    assert len({stream_id(name) for name in names}) == len(names)


def test_links_to_files_are_followed_and_links_to_folders_are_not(tmp_path: Path) -> None:
    touch(tmp_path, "real/a.mp4", "videos/b.mp4")
    videos = tmp_path / "videos"
    (videos / "link.mp4").symlink_to(tmp_path / "real/a.mp4")
    (videos / "loop").symlink_to(videos)
    (videos / "gone.mp4").symlink_to("nowhere")
    assert paths(str(videos)) == ["b.mp4", "gone.mp4", "link.mp4"]
    assert size_and_time(videos / "gone.mp4") == (0, 0)
    assert size_and_time(videos / "link.mp4") == size_and_time(tmp_path / "real/a.mp4")


def test_a_pattern_is_mirrored_from_its_first_folder_without_a_wildcard(tmp_path: Path) -> None:
    touch(tmp_path, "x/1/a.mp4", "x/2/a.mp4", "x/2/b.dat", "y/a.mp4")
    found = find(f"{tmp_path}/x/**/*.mp4")
    assert found.root == tmp_path / "x"
    assert [file.path for file in found.files] == ["1/a.mp4", "2/a.mp4"]
    assert paths(f"{tmp_path}/*/2/*") == ["x/2/a.mp4", "x/2/b.dat"]


def test_one_file_and_a_name_that_looks_like_a_pattern(tmp_path: Path) -> None:
    touch(tmp_path, "clip [1].mp4")
    assert paths(str(tmp_path / "clip [1].mp4")) == ["clip [1].mp4"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "is no path"),
        ("a\0b", "is no path"),
        ("missing", "no such file or folder"),
        ("empty", "no videos in there"),
        ("empty/*.mp4", "no videos in there"),
        ("*/../x", "cannot have .."),
    ],
)
def test_what_cannot_be_a_batch_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, said: str
) -> None:
    touch(tmp_path, "empty/notes.txt")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=re.escape(said)) as error:
        find(source)
    assert "\n" not in str(error.value)


def test_results_lie_where_the_inputs_do() -> None:
    assert place("a/b c.mp4") == Path("a/b c.mp4.jsonl")
    longest = "a/" + "é" * 125 + ".mp4"
    assert len(os.fsencode(place(longest).name)) <= 255
    assert place(longest) != place("a/" + "é" * 125 + ".mkv")
    assert place(longest).parent == Path("a")


def test_a_file_and_a_folder_that_need_one_place_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "a.mp4.jsonl/b.mp4")
    with pytest.raises(ConfigError, match="need the same place"):
        find(str(tmp_path))
