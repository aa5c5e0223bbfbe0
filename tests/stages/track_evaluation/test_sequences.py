"""Where the files of sequences are found, and what is said when they are not."""

from pathlib import Path

import pytest

from pipeline.core.errors import ConfigError
from stages.track_evaluation.sequences import Sequence, file_of, find_sequences


def made(root: Path, name: str, info: str | None = None) -> Path:
    folder = root / name
    (folder / "gt").mkdir(parents=True)
    (folder / "gt" / "gt.txt").write_text("1,1,0,0,5,5\n")
    if info is not None:
        (folder / "seqinfo.ini").write_text(info)
    return folder


def test_a_folder_of_sequences_is_read_by_name(tmp_path: Path) -> None:
    made(tmp_path, "B", "[Sequence]\nname=B\nframeRate=25\nseqLength=600\n")
    made(tmp_path, "A")
    (tmp_path / "notes").mkdir()
    first, second = find_sequences(tmp_path)
    assert first == Sequence("A", tmp_path / "A" / "gt" / "gt.txt")
    assert (second.name, second.fps, second.frames) == ("B", 25, 600)


def test_one_sequence_by_its_folder_or_its_file(tmp_path: Path) -> None:
    folder = made(tmp_path, "SEQ", "[Sequence]\nframeRate=14\n")
    for given in (folder, folder / "gt" / "gt.txt"):
        (only,) = find_sequences(given)
        assert (only.name, only.fps, only.frames) == ("SEQ", 14, None)
    loose = tmp_path / "mine.txt"
    loose.write_text("1,1,0,0,5,5\n")
    assert find_sequences(loose) == [Sequence("mine", loose)]


@pytest.mark.parametrize(
    ("info", "why"),
    [
        ("frameRate=25\n", r"seqinfo\.ini: is no \[Sequence\]"),
        ("[Other]\nframeRate=25\n", r"seqinfo\.ini: is no \[Sequence\]"),
        ("[Sequence]\nframeRate=fast\n", r"seqinfo\.ini: is no \[Sequence\] with numbers"),
        ("[Sequence]\nframeRate=0\n", "frameRate 0 is not above 0"),
        ("[Sequence]\nseqLength=-4\n", "seqLength -4 is not above 0"),
    ],
)
def test_a_wrong_seqinfo_is_named(tmp_path: Path, info: str, why: str) -> None:
    made(tmp_path, "SEQ", info)
    with pytest.raises(ConfigError, match=why):
        find_sequences(tmp_path)


def test_truth_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--truth: .* does not exist"):
        find_sequences(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"--truth: .* has no gt/gt\.txt"):
        find_sequences(tmp_path)


def test_detections_beside_the_truth_or_in_a_folder_of_their_own(tmp_path: Path) -> None:
    sequence = Sequence("SEQ", made(tmp_path, "SEQ") / "gt" / "gt.txt")
    (tmp_path / "SEQ" / "det").mkdir()
    inside, loose = tmp_path / "SEQ" / "det" / "det.txt", tmp_path / "mine" / "SEQ.txt"
    loose.parent.mkdir()
    for path in (inside, loose):
        path.write_text("1,-1,0,0,5,5,0.9\n")
    usual = "det/det.txt"
    assert file_of(sequence, tmp_path, "--detections", False, usual) == inside
    assert file_of(sequence, tmp_path / "SEQ", "--detections", True, usual) == inside
    assert file_of(sequence, tmp_path / "mine", "--detections", False, usual) == loose
    assert file_of(sequence, loose, "--detections", True, usual) == loose
    with pytest.raises(ConfigError, match="is one file, but --truth has several"):
        file_of(sequence, loose, "--detections", False, usual)
    with pytest.raises(ConfigError, match=r"has neither SEQ/det/det\.txt nor SEQ\.txt"):
        file_of(sequence, tmp_path / "SEQ" / "gt", "--detections", False, usual)


def test_a_length_that_no_sequence_has_is_refused(tmp_path: Path) -> None:
    made(tmp_path, "SEQ", "[Sequence]\nframeRate=30\nseqLength=900000000\n")
    with pytest.raises(ConfigError, match="seqLength 900000000 is beyond 10000000"):
        find_sequences(tmp_path)
