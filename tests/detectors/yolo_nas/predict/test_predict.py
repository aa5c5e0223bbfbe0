"""Everything that can be given to `predict`, by the bundled model, and what comes back."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from detectors.yolo_nas.predict import inputs
from detectors.yolo_nas.predict.inputs import InputError
from detectors.yolo_nas.predict.predictor import YoloNAS
from detectors.yolo_nas.predict.results import ImageDetectionPrediction
from pipeline.core.errors import EngineLoadError
from tests.detectors.yolo_nas.bright import Bright, level, plain, write

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def photo(shared_dir: Path) -> Path:
    found = sorted((shared_dir / "street5").rglob("*.jpg")) + sorted(
        (shared_dir / "street5").rglob("*.webp")
    )
    if not found:
        pytest.skip("no photographs in the reference material")
    return found[0]


@pytest.fixture(scope="module")
def bundled() -> YoloNAS:
    return YoloNAS.load("yolo_nas_n_int8")


def test_every_form_of_one_picture_gives_the_same(
    bundled: YoloNAS, photo: Path, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch", reason="needs the train extra")
    image = inputs.read_file(photo)
    png = write(tmp_path / "a.png", image)
    chw = np.ascontiguousarray(image.transpose(2, 0, 1))
    forms: list[Any] = [
        png, str(png), image, chw, image.astype(np.float32) / 255, torch.from_numpy(chw),
        torch.from_numpy(image), torch.from_numpy(chw).double() / 255, Image.fromarray(image),
        Image.open(png),
    ]  # fmt: skip
    wanted = bundled.predict(image, conf=0.1).prediction
    assert len(wanted) > 0
    assert [str(a.dtype) for a in (wanted.bboxes_xyxy, wanted.confidence, wanted.labels)] == [
        "float32", "float32", "int64",
    ]  # fmt: skip
    assert wanted.bboxes_xyxy.shape == (len(wanted), 4)
    for form in forms:
        found = bundled.predict(form, conf=0.1)
        assert isinstance(found, ImageDetectionPrediction)
        np.testing.assert_array_equal(found.image, image)
        np.testing.assert_array_equal(found.prediction.bboxes_xyxy, wanted.bboxes_xyxy)
        np.testing.assert_array_equal(found.prediction.labels, wanted.labels)


def test_batches_lists_and_generators_are_collections(model: YoloNAS, network: Bright) -> None:
    torch = pytest.importorskip("torch", reason="needs the train extra")
    images = [plain(red) for red in (10, 80, 200)]
    batch = np.stack(images)
    for form in (
        images, tuple(images), iter(images), (one for one in images), batch,
        batch.transpose(0, 3, 1, 2), torch.from_numpy(batch.transpose(0, 3, 1, 2).copy()),
        [images[0], torch.from_numpy(images[1]), Image.fromarray(images[2])],
    ):  # fmt: skip
        found = model.predict(form, conf=0.0)
        assert [level(one) for one in found] == [10, 80, 200]
        assert len(found) == 3
        assert level(found[-1]) == 200
        assert [level(one) for one in found[:2]] == [10, 80]
        with pytest.raises(IndexError):
            found[3]
    assert len(model.predict([images[0]])) == 1
    network.batches.clear()
    assert len(model.predict(images, batch_size=2)) == 3
    assert network.batches == [2, 1]


def test_boxes_come_back_in_picture_pixels(model: YoloNAS) -> None:
    (box,) = model.predict(plain(255, 40, 80)).prediction.bboxes_xyxy
    np.testing.assert_allclose(box, [0, -20, 80, 60])


def test_options_replace_the_rule_of_the_model(model: YoloNAS) -> None:
    assert len(model.predict(plain(100)).prediction) == 1
    assert len(model.predict(plain(100), conf=0.5).prediction) == 0
    for wrong in ({"conf": 1.5}, {"iou": -1}, {"batch_size": 0}, {"max_predictions": 0}):
        with pytest.raises(ValueError, match="must be"):
            model.predict(plain(1), **wrong)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (np.zeros((4, 4, 4), np.uint8), r"of RGBA give array\[\.\.\., :3\]"),
        (np.zeros((0, 4, 3), np.uint8), "shape"),
        (np.zeros(3, np.uint8), "shape"),
        (np.zeros((4, 4, 3), np.int64), "int64"),
        (np.full((4, 4, 3), 255.0, np.float32), "from 0 to 1"),
        (np.full((4, 4, 3), np.nan, np.float32), "from 0 to 1"),
        (None, "NoneType"),
        ("nowhere.jpg", "nowhere.jpg: No such file"),
        ("nowhere.mp4", "nowhere.mp4: No such file"),
        (9999, "camera 9999"),
    ],
)
def test_what_is_no_picture_is_told_in_one_line(model: YoloNAS, given: object, why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        model.predict(given)
    assert "\n" not in str(caught.value)


def test_grey_becomes_rgb_and_each_kind_prefers_its_own_axis(model: YoloNAS) -> None:
    torch = pytest.importorskip("torch", reason="needs the train extra")
    assert model.predict(np.zeros((4, 5), np.uint8)).image.shape == (4, 5, 3)
    both = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    np.testing.assert_array_equal(model.predict(both).image, both)
    as_tensor = model.predict(torch.from_numpy(both)).image
    np.testing.assert_array_equal(as_tensor, both.transpose(1, 2, 0))


def test_a_folder_is_sorted_and_names_what_it_leaves_out(
    model: YoloNAS, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, red in (("b.png", 80), ("a.png", 10), ("c.bmp", 200)):
        write(tmp_path / name, plain(red))
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    (tmp_path / "empty.png").touch()
    (tmp_path / "notes.txt").write_text("not looked at")
    (tmp_path / "inner.jpg").mkdir()
    found = model.predict(tmp_path, conf=0.0, batch_size=2)
    assert [level(one) for one in found] == [10, 80, 200]
    assert [Path(one.name).name for one in found] == ["a.png", "b.png", "c.bmp"]
    assert [Path(str(e).partition(":")[0]).name for e in found.unreadable] == [
        "bad.jpg", "empty.png",
    ]  # fmt: skip
    assert "bad.jpg" in caplog.text


def test_a_folder_without_a_readable_picture_is_an_error(model: YoloNAS, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pictures in this folder"):
        model.predict(tmp_path)
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    found = model.predict(tmp_path)
    for _ in range(2):
        with pytest.raises(InputError, match=r"none of 1 pictures can be read: .*bad\.jpg"):
            len(found)


def test_a_named_picture_that_cannot_be_read_is_an_error(model: YoloNAS, tmp_path: Path) -> None:
    good = write(tmp_path / "good.jpg", plain(9))
    data = good.read_bytes()
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(data[:-20])
    with pytest.raises(InputError, match="its end is missing"):
        model.predict(cut)
    with pytest.raises(InputError, match=r"cut\.jpg"):
        list(model.predict([good, cut]))


def test_photographs_are_turned_as_their_exif_says(model: YoloNAS, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(plain(9, 40, 60)).save(tmp_path / "turned.jpg", exif=exif)
    assert model.predict(tmp_path / "turned.jpg").image.shape == (60, 40, 3)
    with Image.open(tmp_path / "turned.jpg") as pillow:
        assert model.predict(pillow).image.shape == (40, 60, 3)


def test_the_memory_of_a_folder_does_not_grow(tmp_path: Path) -> None:
    """120 pictures of 3 MB: 360 MB if they were kept."""
    write(tmp_path / "0000.png", plain(50, 1000, 1000))
    for number in range(1, 120):
        (tmp_path / f"{number:04}.png").hardlink_to(tmp_path / "0000.png")
    script = f"""
        import resource
        from pathlib import Path
        from tests.detectors.yolo_nas.bright import Bright
        from detectors.letterbox import Letterbox
        from detectors.yolo_nas.predict.predictor import YoloNAS
        from detectors.yolo_nas.processing import Processing

        model = YoloNAS(Bright(), Processing(("lamp",), Letterbox(64, 64)))
        peak_kb = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = model.predict({str(tmp_path)!r}, batch_size=8)
        found[15]
        before_kb = peak_kb()
        assert len(found) == 120
        assert found[0].image.shape == found[119].image.shape == (1000, 1000, 3)
        print(peak_kb() - before_kb)
    """
    grown_kb = int(run_python(textwrap.dedent(script)))
    assert grown_kb < 40_000


def run_python(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_onnx_file_needs_no_torch(tmp_path: Path) -> None:
    picture = write(tmp_path / "a.png", plain(9))
    script = f"""
        import sys
        sys.modules.update(dict.fromkeys(("torch", "onnx", "PIL"), None))
        from detectors.yolo_nas import YoloNAS
        from pipeline.core.errors import EngineLoadError

        print(len(YoloNAS.load("yolo_nas_n").predict({str(picture)!r}).prediction))
        try:
            YoloNAS.load("detectors/weights/yolo_nas_n.pth")
        except EngineLoadError as error:
            print(error)
    """
    boxes, error = run_python(textwrap.dedent(script)).splitlines()
    assert boxes.isdigit()
    assert "pip install 'eyrie[train]'" in error


def test_a_model_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(EngineLoadError, match="yolo_nas_n_int8"):
        YoloNAS.load("yolo_nas_x")
    with pytest.raises(EngineLoadError, match=r"yolo_nas_s_coco; .* --variant yolo_nas_s$"):
        YoloNAS.load("yolo_nas_s")
    with pytest.raises(EngineLoadError, match="SHA-256"):
        YoloNAS.load("yolo_nas_n", sha256="0" * 64)


def test_checkpoint_and_onnx_file_see_the_same(photo: Path) -> None:
    pytest.importorskip("torch", reason="needs the train extra")
    weights = ROOT / "detectors/weights"
    ours, theirs = (
        YoloNAS.load(weights / name).predict(photo, conf=0.3).prediction
        for name in ("yolo_nas_n.pth", "yolo_nas_n.onnx")
    )
    assert len(ours) == len(theirs) > 0
    gaps = []
    for box, score, label in zip(ours.bboxes_xyxy, ours.confidence, ours.labels, strict=True):
        alike = (np.abs(theirs.confidence - score) < 0.01) & (theirs.labels == label)
        gaps.append(np.abs(theirs.bboxes_xyxy[alike] - box).max(axis=1).min())
    # Kernels are rounded to half precision, and then a vote on the edge may be in or out.
    assert np.mean(np.array(gaps) < 0.5) >= 0.9
    assert max(gaps) < 5


def test_a_graph_of_one_batch_size_takes_any(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="needs the train extra")
    weights = ROOT / "detectors/weights/yolo_nas_n.onnx"
    graph = onnx.load(weights)
    for value in (*graph.graph.input, *graph.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 2
    onnx.save(graph, tmp_path / "two.onnx")
    images = [np.random.default_rng(n).integers(0, 255, (90, 90, 3), np.uint8) for n in range(3)]
    free, fixed = (
        list(YoloNAS.load(path).predict(images, conf=0.01))
        for path in (weights, tmp_path / "two.onnx")
    )
    for one, other in zip(free, fixed, strict=True):
        np.testing.assert_allclose(
            one.prediction.confidence, other.prediction.confidence, atol=1e-5
        )


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


class Endless(BaseHTTPRequestHandler):
    """Sends for as long as it is listened to."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(bytes(2**20))
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    yield from serve(partial(Quiet, directory=str(tmp_path)))


@pytest.fixture
def endless() -> Iterator[str]:
    yield from serve(Endless)


def serve(handler: Any) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_pictures_from_addresses(model: YoloNAS, served: str, tmp_path: Path) -> None:
    write(tmp_path / "a.png", plain(120))
    found = model.predict(f"{served}/a.png?size=full")
    assert level(found) == 120
    assert found.name.endswith("/a.png?size=full")
    with pytest.raises(InputError, match="404"):
        model.predict(f"{served}/b.png")
    (tmp_path / "page.html").write_text("<html>")
    with pytest.raises(InputError, match="not a picture"):
        model.predict(f"{served}/page.html")


def test_addresses_that_never_end_or_never_answer(model: YoloNAS, endless: str) -> None:
    with pytest.raises(InputError, match="more than 64 MiB"):
        model.predict(endless)
    with pytest.raises(InputError, match="cannot be fetched") as caught:
        model.predict("http://user:secret@127.0.0.1:1/a.jpg")
    assert "secret" not in str(caught.value)
