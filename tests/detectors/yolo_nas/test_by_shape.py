"""Networks that follow the shape of pictures: opened once, at the first of a shape."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import pytest

from detectors.base import Engine
from detectors.engines.open import open_engine
from detectors.engines.options import EngineOptions
from detectors.yolo_nas import by_shape as networks
from detectors.yolo_nas.by_shape import Networks, OpenSized
from detectors.yolo_nas.detector import Description, YoloNasDetector, resolve
from pipeline.core.arrays import U8
from pipeline.core.errors import EngineLoadError
from stages.sources.street import StreetScene

pytest.importorskip("onnx", reason="needs the package onnx")

PATH = resolve("yolo_nas_n_int8")


class Opener:
    """Opens the bundled model at a size, and counts."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def __call__(self, size: tuple[int, int]) -> Engine:
        self.sizes.append(size)
        return open_engine(PATH, EngineOptions(engine="onnxruntime", threads=1, size=size))


def make(opener: OpenSized | None, *, waits: bool = True) -> Networks:
    engine = open_engine(PATH, EngineOptions(engine="onnxruntime", threads=1))
    processing = Description.read(engine.metadata, PATH.name).processing
    return Networks(engine, processing, opener, waits=waits)


def blank(height: int, width: int) -> U8:
    return np.zeros((height, width, 3), np.uint8)


def test_pictures_of_one_shape_share_a_network_that_is_opened_once() -> None:
    opener = Opener()
    found = make(opener)
    ((network, places),) = found.groups([blank(900, 1600), blank(1080, 1920)])
    assert places == [0, 1]
    assert network.engine.inputs[0].shape == (None, 3, 320, 544)
    assert found.groups([blank(360, 640)])[0][0] is network
    assert opener.sizes == [(320, 544)]
    found.close()


def test_a_mixed_batch_is_grouped() -> None:
    opener = Opener()
    found = make(opener)
    pictures = [blank(900, 1600), blank(600, 600), blank(900, 1600), blank(1600, 900)]
    assert [places for _, places in found.groups(pictures)] == [[0, 2], [1], [3]]
    assert opener.sizes == [(320, 544), (416, 416), (544, 320)]
    found.close()


def test_the_own_network_is_kept_where_it_is_needed() -> None:
    opener = Opener()
    found = make(opener)
    ((own, _),) = found.groups([blank(600, 600)])
    found.groups([blank(900, 1600)])
    assert found.groups([blank(600, 600)])[0][0] is own
    assert opener.sizes == [(320, 544)]
    found.close()


def test_warming_up_opens_the_usual_shape() -> None:
    opener = Opener()
    found = make(opener)
    found.warm_up(2)
    found.groups([blank(900, 1600)])
    assert opener.sizes == [(320, 544)]
    found.groups([blank(600, 600)])
    found.groups([blank(900, 1600)])
    assert opener.sizes == [(320, 544), (416, 416)]
    found.close()


def test_a_usual_shape_that_never_comes_is_dropped() -> None:
    opener = Opener()
    found = make(opener)
    found.warm_up(1)
    for picture in (blank(600, 600), blank(900, 1600)):
        found.groups([picture])
    assert opener.sizes == [(320, 544), (416, 416), (320, 544)]
    found.close()


def test_cameras_do_not_wait_for_a_network() -> None:
    opener, may_open = Opener(), threading.Event()

    def slow(size: tuple[int, int]) -> Engine:
        assert may_open.wait(60)
        return opener(size)

    found = make(slow, waits=False)

    def shape() -> tuple[int | None, ...]:
        ((network, places),) = found.groups([blank(900, 1600), blank(900, 1600)])
        assert places == [0, 1]
        return network.engine.inputs[0].shape

    assert [shape() for _ in range(3)] == [(None, 3, 416, 416)] * 3
    may_open.set()
    deadline_s = time.monotonic() + 60
    while shape() != (None, 3, 320, 544):
        assert time.monotonic() < deadline_s
    assert opener.sizes == [(320, 544)]
    found.close()


@pytest.mark.parametrize("kind", [EngineLoadError, RuntimeError])
def test_a_network_that_cannot_be_opened_costs_its_shape_only(
    kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    asked = []

    def refuse(size: tuple[int, int]) -> Engine:
        asked.append(size)
        raise kind(f"no memory for {size}")

    found = make(refuse, waits=False)
    found.groups([blank(900, 1600)])
    found.close()
    assert "no memory for (320, 544)" in caplog.text
    ((network, _),) = found.groups([blank(900, 1600)])
    assert network.engine.inputs[0].shape == (None, 3, 416, 416)
    found.close()
    assert asked == [(320, 544)]


def test_without_an_opener_there_is_one_network() -> None:
    found = make(None)
    ((network, places),) = found.groups([blank(900, 1600), blank(600, 600)])
    assert places == [0, 1]
    assert network.engine.inputs[0].shape == (None, 3, 416, 416)
    found.close()


def test_threads_that_ask_at_once_get_the_same() -> None:
    opener = Opener()
    found = make(opener)
    together = threading.Barrier(4)

    def ask(_: int) -> object:
        together.wait()
        return found.groups([blank(900, 1600)])[0][0]

    with ThreadPoolExecutor(4) as pool:
        assert len(set(map(id, pool.map(ask, range(4))))) == 1
    assert opener.sizes == [(320, 544)]
    found.close()


def test_the_longest_unasked_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "MOST_OPEN", 2)
    opener = Opener()
    found = make(opener)
    wide, tall, thin = blank(900, 1600), blank(1600, 900), blank(600, 1800)
    for picture in (wide, tall, wide, thin, wide, tall):
        found.groups([picture])
    assert opener.sizes == [(320, 544), (544, 320), (224, 672), (544, 320)]
    found.close()


def test_results_are_those_of_each_picture_alone_in_order() -> None:
    scene = StreetScene(seed=3, width=640, height=360)
    street, _ = next(islice(scene.frames(), 40, None))
    pictures = [street, np.ascontiguousarray(street[:, 140:500]), street]
    engine = open_engine(PATH, EngineOptions(engine="onnxruntime", threads=1))
    detector = YoloNasDetector(engine, PATH, open_sized=Opener())
    found = detector.detect(pictures)
    for one, picture in zip(found, pictures, strict=True):
        (alone,) = detector.detect([picture])
        np.testing.assert_allclose(one.xyxy, alone.xyxy, atol=0.05)
        np.testing.assert_array_equal(one.class_id, alone.class_id)
    assert len(found[0]) >= 1
    detector.close()
