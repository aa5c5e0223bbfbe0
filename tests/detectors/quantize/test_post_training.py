"""A float file and a data set become an INT8 file, or one line that says why not."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="needs the train extra")

from detectors.engines.onnxruntime import OnnxRuntimeEngine
from detectors.quantize.calibrate import METHODS, Method
from detectors.quantize.graph import Graph
from detectors.quantize.post_training import calibrated, quantize_file, quantized, read_float
from detectors.quantize.qdq import activations
from detectors.quantize.sqnr import LEAST_DB, layer_sqnr
from detectors.yolo_nas.detector import METADATA_KEY
from pipeline.core.errors import ConfigError, EngineLoadError, EyrieError
from tests.detectors.quantize.tiny import SENSITIVE, SIDE, TRAIN, write_model, write_pictures


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(Path(tmp_path_factory.mktemp("tiny")) / "tiny.onnx")


@pytest.fixture(scope="module")
def data(model: Path) -> Path:
    return write_pictures(model.parent / "pictures", model)


def entries(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def changed(model: Path, out: Path, **metadata: str | None) -> Path:
    """A copy with other metadata; None takes an entry away. `_` in a name is a dot."""
    copy = onnx.load(model)
    said = entries(model) | {key.replace("_", "."): value for key, value in metadata.items()}
    onnx.helper.set_model_props(copy, {k: v for k, v in said.items() if v is not None})
    onnx.save(copy, out)
    return out


def refusal(source: Path, data: Path, out: Path, **options: Any) -> str:
    """The error of quantizing, which must be one line, and leave no file."""
    with pytest.raises(EyrieError) as raised:
        quantize_file(source, str(data), out, **options)
    assert "\n" not in str(raised.value)
    assert not out.exists()
    return str(raised.value)


@pytest.mark.parametrize("asked", [1, 4, TRAIN])
def test_as_many_pictures_as_asked_are_shown(model: Path, data: Path, asked: int) -> None:
    heard: list[int] = []
    calibration = calibrated(model, str(data), pictures=asked, done=heard.append)
    assert heard == list(range(1, asked + 1))
    assert calibration.told["pictures"] == asked
    assert calibration.samples.shape == (min(asked, 4), 3, SIDE, SIDE)


def test_without_a_number_all_of_a_small_set_are_shown(model: Path, data: Path) -> None:
    assert calibrated(model, str(data)).told["pictures"] == TRAIN


def test_more_pictures_than_there_are_is_an_error(model: Path, data: Path, tmp_path: Path) -> None:
    why = refusal(model, data, tmp_path / "x.onnx", pictures=TRAIN + 1)
    assert "has 6 readable pictures of the split 'train', and 7 were asked for" in why


def test_no_picture_asked_is_an_error(model: Path, data: Path, tmp_path: Path) -> None:
    assert "at least 1 picture, not 0" in refusal(model, data, tmp_path / "x.onnx", pictures=0)


def test_an_unknown_rule_is_an_error(model: Path, data: Path, tmp_path: Path) -> None:
    why = refusal(model, data, tmp_path / "x.onnx", method="median")
    assert "'median' is none of max, percentile, mse, entropy" in why


def test_the_seed_decides_which_pictures(model: Path, data: Path) -> None:
    first, again, other = (
        calibrated(model, str(data), pictures=2, seed=seed).samples for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.fixture
def half_broken(data: Path, tmp_path: Path) -> Path:
    """The data set with three of its training pictures damaged."""
    folder = tmp_path / "half broken"
    shutil.copytree(data, folder)
    for n in range(3):
        (folder / f"{n}.png").write_bytes(b"no picture")
    return folder


def test_a_damaged_picture_is_replaced(
    model: Path, half_broken: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[int] = []
    calibration = calibrated(model, str(half_broken), pictures=3, done=heard.append)
    assert heard == [1, 2, 3]
    assert calibration.told["pictures"] == 3
    assert sum("another picture takes its place" in text for text in caplog.messages) >= 1


def test_too_few_readable_pictures_is_an_error(
    model: Path, half_broken: Path, tmp_path: Path
) -> None:
    why = refusal(model, half_broken, tmp_path / "x.onnx", pictures=4)
    assert "has 3 readable pictures of the split 'train', and 4 were asked for" in why


def test_data_without_a_split_train_is_an_error(model: Path, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "val only"
    shutil.copytree(data, folder)
    lines = (folder / "index.jsonl").read_text().splitlines()
    (folder / "index.jsonl").write_text("\n".join(x for x in lines if '"train"' not in x))
    assert "no picture of the split 'train'" in refusal(model, folder, tmp_path / "x.onnx")


def test_data_without_any_picture_is_an_error(model: Path, tmp_path: Path) -> None:
    (tmp_path / "index.jsonl").write_text("")
    assert "no picture of the split 'train'" in refusal(model, tmp_path, tmp_path / "x.onnx")


def test_no_data_at_all_is_an_error(model: Path, tmp_path: Path) -> None:
    assert "no such folder or file" in refusal(model, tmp_path / "none", tmp_path / "x.onnx")


def test_a_model_of_another_family_is_an_error(model: Path, data: Path, tmp_path: Path) -> None:
    said = json.loads(entries(model)[METADATA_KEY]) | {"family": "rt_detr"}
    other = changed(model, tmp_path / "other.onnx", eyrie_model=json.dumps(said))
    assert "is of the family 'rt_detr'" in refusal(other, data, tmp_path / "x.onnx")


@pytest.mark.parametrize("said", ["", "[]", "{}", '{"variant": 1}', '{"family": {}}'])
def test_damaged_metadata_is_an_error(model: Path, data: Path, tmp_path: Path, said: str) -> None:
    other = changed(model, tmp_path / "other.onnx", eyrie_model=said)
    assert refusal(other, data, tmp_path / "x.onnx").startswith("model ")


def test_missing_metadata_is_an_error(model: Path, data: Path, tmp_path: Path) -> None:
    other = changed(model, tmp_path / "other.onnx", eyrie_model=None)
    why = refusal(other, data, tmp_path / "x.onnx")
    assert "not a YOLO-NAS model exported by Eyrie" in why


def test_a_newer_opset_is_an_error(model: Path, data: Path, tmp_path: Path) -> None:
    newer = onnx.load(model)
    newer.opset_import[0].version = 22
    onnx.save(newer, tmp_path / "newer.onnx")
    why = refusal(tmp_path / "newer.onnx", data, tmp_path / "x.onnx")
    assert "is in opset 22" in why
    assert "eyrie model export" in why


def test_an_opset_that_nobody_knows_is_an_error(model: Path, data: Path, tmp_path: Path) -> None:
    newer = onnx.load(model)
    newer.opset_import[0].version = 9999
    onnx.save(newer, tmp_path / "newer.onnx")
    assert "opset 9999" in refusal(tmp_path / "newer.onnx", data, tmp_path / "x.onnx")


def test_a_quantized_model_is_an_error(model: Path, data: Path, tmp_path: Path) -> None:
    quantize_file(model, str(data), tmp_path / "small.onnx")
    why = refusal(tmp_path / "small.onnx", data, tmp_path / "x.onnx")
    assert "is quantized already" in why
    unsaid = changed(tmp_path / "small.onnx", tmp_path / "unsaid.onnx", eyrie_precision=None)
    assert "is quantized already" in refusal(unsaid, data, tmp_path / "x.onnx")


def test_what_is_no_file_is_an_error(data: Path, tmp_path: Path) -> None:
    for source in (tmp_path / "none.onnx", tmp_path):
        assert str(source) in refusal(source, data, tmp_path / "x.onnx")


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"PK\3\4 a zip", b"a text\n" * 50])
def test_what_is_no_model_is_an_error(data: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "no.onnx").write_bytes(content)
    assert "no.onnx" in refusal(tmp_path / "no.onnx", data, tmp_path / "x.onnx")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_model_is_refused_or_read(
    model: Path, tmp_path: Path, data: st.DataObject
) -> None:
    """Nothing but our own errors comes of bytes that were cut off or changed."""
    content = bytearray(model.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for _ in range(data.draw(st.integers(1, 20))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "damaged.onnx").write_bytes(content)
    why = ""
    try:
        read_float(tmp_path / "damaged.onnx")
    except EngineLoadError as error:
        why = str(error)
    assert "\n" not in why


@pytest.mark.parametrize("method", METHODS)
def test_the_file_says_how_it_was_made(
    model: Path, data: Path, tmp_path: Path, method: Method
) -> None:
    source = changed(model, tmp_path / "source.onnx", eyrie_note="kept")
    out = tmp_path / "deep" / "x.onnx"
    count = quantize_file(source, str(data), out, pictures=3, method=method, seed=5)
    said = entries(out)
    told = json.loads(said["eyrie.quantization"])
    names = Graph.load(model).layer_names()
    assert said["eyrie.precision"] == "int8"
    assert said["eyrie.note"] == "kept"
    assert said[METADATA_KEY] == entries(model)[METADATA_KEY]
    assert (told["method"], told["pictures"], told["seed"]) == (method, 3, 5)
    assert told["data"] == "pictures"
    assert set(told["float"]) >= {name for name in names if "_pred/" in name}
    assert count == len(names) - len(told["float"])


def test_the_quantized_file_runs_and_finds_nearly_the_same(
    model: Path, data: Path, tmp_path: Path
) -> None:
    quantize_file(model, str(data), tmp_path / "x.onnx")
    image = cv2.imread(str(data / "0.png"), cv2.IMREAD_COLOR_RGB)
    assert image is not None
    images = image.transpose(2, 0, 1)[None].astype(np.float32) / 255
    engines = [OnnxRuntimeEngine(path, 1) for path in (model, tmp_path / "x.onnx")]
    assert [engine.precision for engine in engines] == ["fp32", "int8"]
    (boxes, scores), (boxes_8, scores_8) = (engine.run(images) for engine in engines)
    assert np.abs(boxes - boxes_8).mean() < 1
    assert np.abs(scores - scores_8).mean() < 0.05


def test_what_is_too_noisy_stays_float(model: Path, data: Path, tmp_path: Path) -> None:
    quantize_file(model, str(data), tmp_path / "x.onnx", method="percentile", skip=())
    told = json.loads(entries(tmp_path / "x.onnx")["eyrie.quantization"])
    assert told["float"] == told["evidence"]["too_noisy"]
    calibration = calibrated(model, str(data), method="percentile")
    noise = layer_sqnr(
        calibration.graph, calibration.ranges, calibration.samples, skip=told["float"]
    )
    assert all(one.alone_db >= LEAST_DB for one in noise if one.quantized)


def test_one_calibration_serves_any_choice_of_layers(model: Path, data: Path) -> None:
    calibration = calibrated(model, str(data))
    names = calibration.graph.layer_names()
    for skip in ([], [SENSITIVE], names[:3], names[3:], names):
        assert set(activations(calibration.graph, skip)) <= set(calibration.ranges)
        told = {
            entry.key: entry.value
            for entry in quantized(calibration, skip, {"why": "a test"}).metadata_props
        }
        assert json.loads(told["eyrie.quantization"])["float"] == list(skip)
        assert json.loads(told["eyrie.quantization"])["evidence"] == {"why": "a test"}


def test_the_input_is_never_clipped(model: Path, data: Path) -> None:
    assert calibrated(model, str(data), method="percentile").ranges["images"] == 1


def test_a_missing_layer_is_an_error(model: Path, data: Path) -> None:
    with pytest.raises(ValueError, match="/nowhere/Conv"):
        quantized(calibrated(model, str(data)), ["/nowhere/Conv"])


def test_errors_about_data_name_it(model: Path, data: Path) -> None:
    with pytest.raises(ConfigError, match=str(data)):
        calibrated(model, str(data), pictures=99)
