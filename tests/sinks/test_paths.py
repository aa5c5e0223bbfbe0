"""File names from stream ids."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.paths import file_stem, fixed_folder, path_for

_IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)


@pytest.mark.parametrize("plain", ["gate", "cam-1", "Yard_2.north", "x" * 100])
def test_plain_ids_stay(plain: str) -> None:
    assert file_stem(plain) == plain


@given(_IDS)
def test_a_stem_is_one_safe_component(stream_id: str) -> None:
    stem = file_stem(stream_id)
    assert Path(stem).name == stem
    assert not stem.startswith(".")
    assert len(stem.encode()) <= 109


@given(_IDS, _IDS)
def test_two_streams_never_share_a_file(one: str, other: str) -> None:
    assert (file_stem(one) == file_stem(other)) == (one == other)


def test_ids_that_clean_up_alike_stay_apart() -> None:
    assert len({file_stem(each) for each in ("a/b", "a:b", "a_b", "../a")}) == 4


def test_path_for_cannot_leave_its_folder() -> None:
    path = path_for("out/{stream_id}/boxes.jsonl", "../../etc")
    assert path.parts == ("out", file_stem("../../etc"), "boxes.jsonl")
    assert ".." not in path.parts


@pytest.mark.parametrize(
    ("template", "folder"),
    [("a/b.mp4", "a"), ("a/{stream_id}/b.mp4", "a"), ("a/x-{stream_id}.mp4", "a"), ("b.mp4", ".")],
)
def test_fixed_folder(template: str, folder: str) -> None:
    assert fixed_folder(template) == Path(folder)
