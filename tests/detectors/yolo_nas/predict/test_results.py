"""What comes back from `predict`: drawn, saved, shown, told."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detectors.yolo_nas.predict import inputs
from detectors.yolo_nas.predict.inputs import InputError
from detectors.yolo_nas.predict.predictor import YoloNAS
from detectors.yolo_nas.predict.results import Style
from tests.detectors.yolo_nas.bright import plain, write


def test_drawing_changes_a_copy_and_only_the_classes_asked_for(model: YoloNAS) -> None:
    found = model.predict(plain(255, 200, 300))
    drawn = found.draw(box_thickness=3, color_mapping=[(0, 255, 0)])
    assert drawn.shape == found.image.shape
    assert (drawn[150, 0] == (0, 255, 0)).all()
    np.testing.assert_array_equal(found.image, plain(255, 200, 300))
    assert (found.draw(show_confidence=False) != drawn).any()
    np.testing.assert_array_equal(found.draw(class_names=[]), found.image)
    with pytest.raises(ValueError, match="the model knows lamp"):
        found.draw(class_names=["dog"])


def test_results_are_saved_under_their_names(model: YoloNAS, tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    for folder in (first, second):
        folder.mkdir()
        write(folder / "a.png", plain(255))
    found = model.predict([first / "a.png", second / "a.png", plain(255)])
    paths = found.save(tmp_path / "out", Style(show_confidence=False))
    assert [path.name for path in paths] == ["a.jpg", "a_2.jpg", "picture.jpg"]
    assert all(inputs.read_file(path).shape == (40, 60, 3) for path in paths)
    plainer = found[0].save(tmp_path / "a.png", show_confidence=False)
    np.testing.assert_array_equal(inputs.read_file(plainer), found[0].draw(show_confidence=False))
    with pytest.raises(InputError, match=r"a\.xyz: '\.xyz' is not a kind of picture.*\.jpg"):
        found[0].save(tmp_path / "a.xyz")
    with pytest.raises(InputError, match=r"out: a picture needs a suffix: \.jpg"):
        found[0].save(tmp_path / "out")


def test_showing_opens_the_systems_viewer(
    model: YoloNAS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    seen = tmp_path / "seen"
    os.mkfifo(seen)
    viewer = tmp_path / "xdg-open"
    viewer.write_text(f'#!/bin/sh\necho "$1" > {seen}\n')
    viewer.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    path = model.predict(plain(255)).show()
    assert Path(seen.read_text().strip()) == path
    assert inputs.read_file(path).shape == (40, 60, 3)


def test_several_are_shown_with_one_warning_for_each_lack(
    model: YoloNAS,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    paths = model.predict([plain(200)] * 4).show(most=3)
    assert [path.name for path in paths] == ["picture.png", "picture_2.png", "picture_3.png"]
    first, second = caplog.messages
    assert "only the first 3 pictures" in first
    assert second.endswith(f"see {paths[0].parent}")


def test_models_and_results_say_what_they_are(model: YoloNAS) -> None:
    assert repr(model) == "YoloNAS(1 classes, input 64x64)"
    found = model.predict([plain(9)] * 3, batch_size=2)
    assert repr(found) == "ImagesDetectionPrediction(0 pictures so far)"
    assert len(found) == 3
    assert repr(found) == "ImagesDetectionPrediction(3 pictures)"


def test_notebooks_show_the_drawn_picture(model: YoloNAS) -> None:
    found = model.predict(plain(255))
    with Image.open(io.BytesIO(found._repr_png_())) as shown:
        np.testing.assert_array_equal(np.asarray(shown), found.draw())
