"""Noise by layer, against a direct computation, and the layers that are too noisy."""

import math
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

from detectors.quantize.calibrate import ranges, run
from detectors.quantize.graph import Graph
from detectors.quantize.qdq import activations, quantize
from detectors.quantize.sqnr import layer_sqnr, weakest
from pipeline.core.arrays import F32
from tests.detectors.quantize.tiny import SIDE, write_model

FIRST, LAST = "/backbone/stem/Conv", "/heads/head3/cls_pred/Conv"


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return Graph.load(write_model(Path(tmp_path_factory.mktemp("tiny")) / "tiny.onnx"))


@pytest.fixture(scope="module")
def images() -> F32:
    return np.random.default_rng(4).random((3, 3, SIDE, SIDE), np.float32)


@pytest.fixture(scope="module")
def tops(graph: Graph, images: F32) -> dict[str, float]:
    return ranges(graph, activations(graph), [images], "max")


def decibels(clean: F32, noisy: F32) -> float:
    power = np.square(clean.astype(np.float64)).sum()
    return 10 * math.log10(power / np.square(clean.astype(np.float64) - noisy).sum())


def test_every_convolution_is_told_in_order(
    graph: Graph, tops: dict[str, float], images: F32
) -> None:
    measured = layer_sqnr(graph, tops, images)
    assert [one.layer for one in measured] == graph.layer_names()
    assert all(one.quantized for one in measured)
    assert all(5 < one.cumulative_db < 60 for one in measured)


def test_cumulative_noise_is_that_of_the_quantized_model(
    graph: Graph, tops: dict[str, float], images: F32
) -> None:
    node = next(node for node in graph.nodes if node.name == LAST)
    made = str(node.output[0])
    (clean,) = next(run(graph.rebuilt(graph.nodes, graph.constants), [made], [images]))
    (noisy,) = next(run(quantize(graph, tops), [made], [images], as_written=True))
    told = {one.layer: one for one in layer_sqnr(graph, tops, images)}
    assert told[LAST].cumulative_db == pytest.approx(decibels(clean, noisy), abs=0.01)


@pytest.mark.parametrize("layer", [FIRST, "/backbone/stage3/Conv", LAST])
def test_noise_alone_is_that_of_the_model_with_one_quantized_layer(
    graph: Graph, tops: dict[str, float], images: F32, layer: str
) -> None:
    others = [name for name in graph.layer_names() if name != layer]
    alone = {one.layer: one for one in layer_sqnr(graph, tops, images, skip=others)}
    together = {one.layer: one for one in layer_sqnr(graph, tops, images)}
    assert alone[layer].cumulative_db == pytest.approx(together[layer].alone_db, abs=0.05)
    assert [one.layer for one in alone.values() if one.quantized] == [layer]


def test_the_first_layer_has_no_noise_before_it(
    graph: Graph, tops: dict[str, float], images: F32
) -> None:
    first = layer_sqnr(graph, tops, images)[0]
    assert first.cumulative_db == pytest.approx(first.alone_db, abs=0.05)


def test_a_float_network_has_no_noise(graph: Graph, tops: dict[str, float], images: F32) -> None:
    measured = layer_sqnr(graph, tops, images, skip=graph.layer_names())
    assert all(one.cumulative_db > 100 and not one.quantized for one in measured)


def test_nothing_is_left_out_where_all_is_well(
    graph: Graph, tops: dict[str, float], images: F32
) -> None:
    assert weakest(graph, tops, images, least_db=1) == set()
    assert weakest(graph, tops, images, skip={LAST}, least_db=1) == {LAST}


@pytest.mark.parametrize("least_db", [20.0, 25.0, 30.0])
def test_no_quantized_layer_is_below_the_least(
    graph: Graph, tops: dict[str, float], images: F32, least_db: float
) -> None:
    left = weakest(graph, tops, images, least_db=least_db)
    measured = layer_sqnr(graph, tops, images, skip=left)
    assert {one.layer for one in measured if one.alone_db < least_db} == left
    assert 0 < len(left) < len(measured)


def test_a_layer_is_not_blamed_for_the_noise_before_it(
    graph: Graph, tops: dict[str, float], images: F32
) -> None:
    worse = tops | {"images": 100.0}
    measured = {one.layer: one for one in layer_sqnr(graph, worse, images)}
    second = "/backbone/stage1/Conv"
    assert measured[second].cumulative_db < 15 < measured[second].alone_db
    assert weakest(graph, worse, images) - weakest(graph, tops, images) == {FIRST}


def test_a_layer_with_a_spoilt_range_is_found(
    graph: Graph, tops: dict[str, float], images: F32
) -> None:
    spoilt = next(node for node in graph.nodes if node.name == "/backbone/stage1/Conv")
    made = graph.consumers[spoilt.output[0]][0].output[0]
    worse = tops | {made: tops[made] * 100}
    assert spoilt.name not in weakest(graph, tops, images)
    assert spoilt.name in weakest(graph, worse, images)
