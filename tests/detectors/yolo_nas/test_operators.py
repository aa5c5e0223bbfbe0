"""The networks of a few operators are what their texts say."""

from pathlib import Path

import onnx
import pytest

from detectors.yolo_nas.operators import FOLDER, TEXTS, parsed


@pytest.mark.parametrize("text", sorted(FOLDER.glob(TEXTS)), ids=lambda path: path.name)
def test_a_file_holds_what_its_text_says(text: Path) -> None:
    assert onnx.load(text.with_suffix("")) == parsed(text)


def test_no_file_is_without_a_text() -> None:
    texts = {text.with_suffix("").name for text in FOLDER.glob(TEXTS)}
    assert texts == {file.name for file in FOLDER.glob("*.onnx")}
