"""The search on a real network with a layer that 8 bits ruin: what it chooses, keeps and writes."""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import onnx

from detectors.engines.open import EngineChoice, EngineOptions, open_engine
from detectors.quantize.forms import Forms, network
from detectors.quantize.hybrid import Outcome, Search
from detectors.quantize.hybrid_file import Plan, Prepared, hybrid_file
from detectors.quantize.journal import Journal
from detectors.quantize.selection import Layers
from pipeline.core.arrays import F32, F64
from pipeline.core.errors import ConfigError
from tests.detectors.quantize.tiny import SENSITIVE, VAL, write_model, write_pictures

OPTIONS = EngineOptions(engine="onnxruntime", threads=1)
MAX_DROP = 1.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float model, `tiny.onnx`, and its pictures, `pictures`."""
    folder = tmp_path_factory.mktemp("tiny")
    write_pictures(folder / "pictures", write_model(folder / "tiny.onnx"))
    return folder


def plan_of(folder: Path, out: Path, options: EngineOptions = OPTIONS) -> Plan:
    pictures = str(folder / "pictures")
    return Plan(source=folder / "tiny.onnx", out=out, calibrate=pictures, options=options)


@pytest.fixture(scope="module")
def prepared(folder: Path) -> Prepared:
    return Prepared(plan_of(folder, folder / "unused.onnx"))


class Timed(Forms):
    """Forms whose times are known: `SHARE` more for each layer in float."""

    SHARE = 0.05

    def seconds(self, lefts: Sequence[Layers], image: F32, budget_s: float) -> F64:
        times = [1 + self.SHARE * len(left) for left in lefts]
        return np.tile(np.array(times) / 1000, (8, 1))


class FloatIsFaster(Timed):
    SHARE = -0.05


def searched(prepared: Prepared, journal: Path, kind: type[Timed] = Timed) -> Outcome:
    forms = kind(prepared.calibration, OPTIONS)
    return Search(forms, prepared.validation, Journal(journal, {})).run(MAX_DROP)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a search that was not interrupted, see `outcome`."""
    return tmp_path_factory.mktemp("whole") / "journal"


@pytest.fixture(scope="module")
def outcome(prepared: Prepared, journal: Path) -> Outcome:
    return searched(prepared, journal)


def test_what_is_chosen_keeps_the_accuracy_at_the_least_time(outcome: Outcome) -> None:
    chosen = outcome.chosen
    assert chosen.drop <= MAX_DROP < outcome.known["full"].drop
    assert SENSITIVE in chosen.left
    within = [one for one in outcome.candidates if one.drop <= MAX_DROP]
    assert len(chosen.left) == min(len(one.left) for one in within) < len(outcome.layers)
    errors = {layer.name: layer.error for layer in outcome.layers}
    assert max(errors, key=lambda name: errors[name]) == SENSITIVE
    assert all(layer.cost_ms == pytest.approx(0.05) for layer in outcome.layers)
    assert outcome.known["fp32"].ms == pytest.approx(1 + 0.05 * len(errors))


def test_drops_are_those_of_the_files(prepared: Prepared, outcome: Outcome) -> None:
    forms = Forms(prepared.calibration, OPTIONS)
    for one in (outcome.chosen, outcome.known["full"], outcome.known["fp32"]):
        with forms.opened(one.left) as engine:
            points = prepared.validation.points(network(engine))
        assert one.drop == pytest.approx(outcome.fp32_points - points, abs=1e-9)


@pytest.mark.parametrize(
    ("stage", "step"),
    [
        ("sensitivity", 5),
        ("latency of layers", 8),
        ("average precision", 6),
        ("latency of sets", 1),
    ],
)
def test_an_interrupted_search_goes_on_to_the_same_choice(
    prepared: Prepared, outcome: Outcome, journal: Path, tmp_path: Path, stage: str, step: int
) -> None:

    def interrupt(name: str, done: int, total: int) -> None:
        if name == stage and done >= step:
            raise KeyboardInterrupt

    forms = Timed(prepared.calibration, OPTIONS)
    begun = tmp_path / "journal"
    with pytest.raises(KeyboardInterrupt):
        Search(forms, prepared.validation, Journal(begun, {}), interrupt).run(MAX_DROP)
    known = begun.read_text().splitlines()
    assert 1 < len(known) < len(journal.read_text().splitlines())
    assert Search(forms, prepared.validation, Journal(begun, {})).run(MAX_DROP) == outcome
    assert begun.read_text().splitlines()[: len(known)] == known
    assert begun.read_text() == journal.read_text()


def test_another_limit_judges_only_what_is_new(prepared: Prepared, tmp_path: Path) -> None:
    forms, journal = Timed(prepared.calibration, OPTIONS), Journal(tmp_path / "journal", {})
    strict = Search(forms, prepared.validation, journal).run(0.5)
    lax = Search(forms, prepared.validation, journal).run(20.0)
    assert lax.chosen.left == frozenset()
    assert lax.chosen.ms <= strict.chosen.ms
    names = [json.loads(line)[0] for line in journal.path.read_text().splitlines()[1:]]
    assert len(names) == len(set(names))


def test_no_form_that_is_slower_than_float_is_written(prepared: Prepared, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing that is faster than the float network loses"):
        searched(prepared, tmp_path / "journal", FloatIsFaster)
    forms = Timed(prepared.calibration, OPTIONS)
    with pytest.raises(ConfigError, match="must be 0 points or more, not -1"):
        Search(forms, prepared.validation, Journal(tmp_path / "other", {})).run(-1.0)


def test_the_files(folder: Path, outcome: Outcome, tmp_path: Path) -> None:
    there = Prepared(plan_of(folder, tmp_path / "new" / "x.onnx"))
    there.write(outcome)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "x.json",
        "x.onnx",
        "x.png",
    ]
    told = json.loads((tmp_path / "new" / "x.json").read_text())
    assert [layer["name"] for layer in told["layers"]] == there.calibration.graph.layer_names()
    assert told["validation"] == {"data": "pictures", "split": "val", "pictures": VAL}
    left = {layer["name"] for layer in told["layers"] if layer["float"]}
    assert left == outcome.chosen.left == set(told["float"])
    assert len(told["candidates"]) == len(outcome.candidates)
    image = cv2.imread(str(tmp_path / "new" / "x.png"))
    assert image is not None
    assert (tmp_path / "new" / "x.png").stat().st_size < 100_000
    model = onnx.load(tmp_path / "new" / "x.onnx")
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    quantization = json.loads(metadata["eyrie.quantization"])
    assert (metadata["eyrie.precision"], set(quantization["float"])) == ("int8", left)
    evidence = quantization["evidence"]
    assert evidence["chosen"] == told["chosen"]
    assert evidence["known"]["full"]["drop"] > MAX_DROP == evidence["max_drop"]
    assert "candidates" not in evidence


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_from_a_file_to_a_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: EngineChoice
) -> None:
    pytest.importorskip(engine, reason=f"needs {engine}")
    options = EngineOptions(engine=engine, threads=1)
    monkeypatch.setattr(Forms, "seconds", Timed.seconds)
    monkeypatch.setattr(Forms, "SHARE", Timed.SHARE, raising=False)
    plan = plan_of(folder, tmp_path / "x.onnx", options)
    stages: dict[str, tuple[int, int]] = {}

    def watch(stage: str, done: int, total: int) -> None:
        stages[stage] = done, total

    outcome = hybrid_file(plan, MAX_DROP, watch)
    assert {"calibration", "sensitivity", "latency of layers", "average precision"} <= set(stages)
    assert all(done == total for done, total in stages.values())
    with closing(open_engine(plan.out, options)) as opened:
        points = Prepared(plan).validation.points(network(opened))
    assert outcome.engine == f"{engine}-cpu"
    assert outcome.fp32_points - points == pytest.approx(outcome.chosen.drop, abs=1e-9)
    assert outcome.chosen.drop <= MAX_DROP
    assert hybrid_file(plan, MAX_DROP) == outcome


def test_forms_are_timed_beside_each_other(prepared: Prepared) -> None:
    forms = Forms(prepared.calibration, OPTIONS)
    (image,) = prepared.validation.images(1)
    seconds = forms.seconds([frozenset(), frozenset(forms.layers)], image, 0.1)
    assert seconds.shape[1] == 2
    assert (seconds > 0).all()
