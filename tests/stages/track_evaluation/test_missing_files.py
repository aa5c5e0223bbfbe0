"""What is not there is named."""

from pathlib import Path

import pytest

from pipeline.core.errors import ConfigError
from stages.track_evaluation.sequences import Sequence, file_of


def test_a_path_that_does_not_exist_is_said_to_be_missing(tmp_path: Path) -> None:
    sequence, missing = Sequence("one", tmp_path / "gt.txt"), tmp_path / "det.txt"
    with pytest.raises(ConfigError, match=r"det\.txt does not exist"):
        file_of(sequence, missing, "--detections", alone=True, usual="det/det.txt")
