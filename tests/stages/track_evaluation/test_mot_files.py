"""Files of MOT Challenge: what is read, what is written, and which line is wrong."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import ConfigError
from pipeline.core.tracks import Tracks
from stages.track_evaluation.mot_files import read_mot, write_mot


def written(folder: Path, text: str) -> Path:
    path = folder / "gt.txt"
    path.write_text(text)
    return path


def test_lines_are_read_by_rising_frame(tmp_path: Path) -> None:
    path = written(tmp_path, "3,7,10,20,30,40,1,1,0.5\n\n1,2,1.5,2,3,4,0,8,1\r\n")
    table = read_mot(path, identities=True)
    assert table.frame.tolist() == [0, 2]
    assert table.track_id.tolist() == [2, 7]
    assert table.xyxy.tolist() == [[1.5, 2, 4.5, 6], [10, 20, 40, 60]]
    assert table.conf.tolist() == [0, 1]
    assert table.class_id.tolist() == [8, 1]
    assert table.frame_count == 3
    assert table.by_frame(3) == [slice(0, 1), slice(1, 1), slice(1, 2)]


def test_detections_have_no_ids_and_mot15_no_classes(tmp_path: Path) -> None:
    text = "1,-1,0,0,5,5,30.2,-1,-1,-1\n1,-1,9,0,5,5,-3,-1,-1,-1\n"
    table = read_mot(written(tmp_path, text), identities=False)
    assert table.class_id.tolist() == [1, 1]
    assert table.conf.tolist() == [30.2, -3]


def test_six_columns_and_spaces_are_enough(tmp_path: Path) -> None:
    table = read_mot(written(tmp_path, "1 1 0 0 5 5\n"), identities=True)
    assert (table.conf.tolist(), table.class_id.tolist()) == ([1], [1])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("2,1,0,0,5", "5 values; a line is frame,id,x,y,w,h"),
        ("2,1,0,0,5,5,1,1,1,1,1", "11 values"),
        ("two,1,0,0,5,5", "'two,1,0,0,5,5' is not all numbers"),
        ("2,1,0,0,nan,5", "not finite"),
        ("2,1,0,0,inf,5", "not finite"),
        ("0,1,0,0,5,5", "frame 0 is no whole number from 1 on"),
        ("2.5,1,0,0,5,5", "frame 2.5 is no whole number"),
        ("99999999999,1,0,0,5,5", "frame 99999999999 is no whole number"),
        ("2,1.5,0,0,5,5", "id 1.5 is no whole number"),
        ("2,1e300,0,0,5,5", "id 1e300 is no whole number up to"),
        ("2,1,0,0,5,5,1,3e9", "class 3e9 is beyond"),
        ("2,1,0,0,0,5", "a box of 0 x 5 px"),
        ("2,1,0,0,5,-5", "a box of 5 x -5 px"),
        ("1,4,0,0,5,5", "id 4 is already in frame 1, at line 1"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, why: str) -> None:
    path = written(tmp_path, f"1,4,0,0,5,5,1,1,1\n{line}\n")
    with pytest.raises(ConfigError) as error:
        read_mot(path, identities=True)
    assert str(error.value).startswith(f"{path}:2: ")
    assert why in str(error.value)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_bytes(b"\xff\xfe\x00\x89PNG")
    with pytest.raises(ConfigError, match=r"gt\.txt: is no text"):
        read_mot(path, identities=True)


def test_tracks_come_back_as_they_were_written(tmp_path: Path) -> None:
    tracks = Tracks(
        xyxy=np.array([[1, 2, 4, 8], [10, 20, 40, 60]], np.float32),
        score=np.array([0.5, 0.25], np.float32),
        class_id=np.array([1, 3], np.int32),
        track_id=np.array([4, 9], np.int64),
        detection_index=np.arange(2),
        ended=np.empty(0, np.int64),
    )
    path = tmp_path / "new" / "SEQ.txt"
    write_mot(path, [Tracks.empty(), tracks], every=3)
    table = read_mot(path, identities=True)
    assert table.frame.tolist() == [3, 3]
    assert table.track_id.tolist() == [4, 9]
    assert table.xyxy.tolist() == tracks.xyxy.tolist()
    assert table.conf.tolist() == [0.5, 0.25]
    assert table.class_id.tolist() == [1, 3]


def test_every_third_frame_is_renumbered(tmp_path: Path) -> None:
    text = "".join(f"{frame},1,{frame},0,5,5\n" for frame in range(1, 9))
    table = read_mot(written(tmp_path, text), identities=True).every(3)
    assert table.frame.tolist() == [0, 1, 2]
    assert table.xyxy[:, 0].tolist() == [1, 4, 7]
