"""Hybrid quantization against its alternatives: full INT8, all heads left in float, FP32.

    python -m benchmarks.hybrid --data FOLDER [--engine NAME] [--json FILE] [--png FILE]

FOLDER is a labelled set of pictures: its split train calibrates, its split val judges. The search
runs once for each of `--limits` (points of AP that may be lost), and once for what the form with
float heads loses, so that the two can be compared in time at equal accuracy. It also says how well
errors of outputs, the proxies of accuracy, order sets of layers drawn at random by the average
precision they lose (Spearman's rank correlation).

`--spread` takes the bundled network with channels spread over so many powers of two, as
`benchmarks.qat` makes it: the same numbers in float, and one that full INT8 really hurts.

What is measured is kept in `--work`, and a second call goes on from there.
"""

import argparse
import json
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe
from benchmarks.qat import spread_out
from detectors.engines.model_header import ModelHeader
from detectors.engines.open import EngineOptions
from detectors.export import export
from detectors.quantize.forms import Forms, name_of, network
from detectors.quantize.frontier import draw, report
from detectors.quantize.hybrid import Outcome
from detectors.quantize.hybrid_file import Plan, Prepared
from detectors.quantize.journal import Journal
from detectors.quantize.selection import Layers
from detectors.quantize.sensitivity import PICTURES, output_error
from detectors.quantize.validation import Network, Validation
from detectors.yolo_nas.checkpoints import checkpoint
from detectors.yolo_nas.detector import Description, resolve
from pipeline.core.arrays import F32, F64

LIMITS = (0.3, 0.1)
SHARES = (0.15, 0.4, 0.7, 0.95)  # of the layers in 8 bits, in the sets drawn at random

Outputs = tuple[F32, F32]
Proxy = Callable[[Outputs, Outputs], float]


def noise_of_boxes(wanted: Outputs, found: Outputs) -> float:
    """Noise over signal of all boxes, whatever their scores."""
    return float(np.square(found[0] - wanted[0]).sum() / np.square(wanted[0]).sum())


def noise_of_scores(wanted: Outputs, found: Outputs) -> float:
    """Noise over signal of all scores."""
    return float(np.square(found[1] - wanted[1]).sum() / np.square(wanted[1]).sum())


PROXIES: dict[str, Proxy] = {
    "output_error": lambda wanted, found: output_error(*wanted, *found),
    "noise_of_boxes": noise_of_boxes,
    "noise_of_scores": noise_of_scores,
}


def outputs(run: Network, images: Iterable[F32]) -> Outputs:
    boxes, scores = zip(*map(run, images), strict=True)
    return np.concatenate(boxes), np.concatenate(scores)


def drawn(
    forms: Forms, validation: Validation, journal: Journal, count: int
) -> list[dict[str, Any]]:
    """Sets of layers left in float: their loss of average precision and their proxies."""
    images = validation.images(PICTURES)
    layers, rng = forms.layers, random.Random(0)
    with forms.opened(frozenset(layers)) as engine:
        wanted = outputs(network(engine), images)

    def points(left: Layers) -> dict[str, float]:
        with forms.opened(left) as engine:
            run = network(engine)
            found = outputs(run, images)
            proxies = {name: proxy(wanted, found) for name, proxy in PROXIES.items()}
            return {"points": validation.points(run)} | proxies

    def known(left: Layers) -> dict[str, float]:
        found: dict[str, float] = journal.once(f"proxies {name_of(left)}", partial(points, left))
        return found

    base = known(frozenset(layers))
    rows = []
    for n in range(count):
        share = SHARES[n % len(SHARES)]
        left = frozenset(layer for layer in layers if rng.random() >= share)
        row = known(left)
        rows.append({"left": left, "drop": base["points"] - row["points"]} | row)
        print(f"random set {n + 1} of {count}: {rows[-1]['drop']:+.2f} points lost")
    return rows


def correlations(rows: list[dict[str, Any]], errors: Mapping[str, float]) -> dict[str, float]:
    """Spearman's rank correlation of each proxy with the loss; `sum_of_layers` is what the search
    goes by: the sum of `output_error` of the quantized layers, each quantized alone."""
    drops = np.array([row["drop"] for row in rows])
    values = {name: [row[name] for row in rows] for name in PROXIES}
    values["sum_of_layers"] = [
        sum(error for layer, error in errors.items() if layer not in row["left"]) for row in rows
    ]
    return {name: round(_spearman(np.array(found), drops), 3) for name, found in values.items()}


def of_judged(outcomes: Mapping[str, Outcome]) -> float:
    """The same of `sum_of_layers`, over the sets that the searches judged."""
    sets = {one.left: one.drop for outcome in outcomes.values() for one in outcome.candidates}
    layers = next(iter(outcomes.values())).layers
    sums = [sum(layer.error for layer in layers if layer.name not in left) for left in sets]
    return _spearman(np.array(sums), np.array(list(sets.values())))


def _spearman(a: F64, b: F64) -> float:
    first, second = (np.argsort(np.argsort(values)).astype(np.float64) for values in (a, b))
    return float(np.corrcoef(first, second)[0, 1])


def searched(prepared: Prepared, limits: Iterable[float]) -> dict[str, Outcome]:
    """An outcome for each limit, and for the loss of float heads."""
    search = prepared.search(lambda *said: print("{}: {} of {}  ".format(*said), end="\r"))
    found = {f"at most {limit:g} points": search.run(limit) for limit in limits}
    heads = next(iter(found.values())).known["heads"]
    found["as good as float heads"] = search.run(max(heads.drop, 0.0))
    return found


def summary(outcomes: Mapping[str, Outcome], about: Mapping[str, Any]) -> dict[str, Any]:
    """The report of the first, and what was chosen for each limit."""
    first = next(iter(outcomes.values()))
    told = report(first, about)
    del told["chosen"], told["float"], told["max_drop"]
    for layer in told["layers"]:
        del layer["float"]
    reports = {label: report(outcome, {}) for label, outcome in outcomes.items()}
    chosen = {label: one["chosen"] | {"float": one["float"]} for label, one in reports.items()}
    sets = {one.left: one for outcome in outcomes.values() for one in outcome.candidates}
    judged = sorted([round(one.ms, 4), round(one.drop, 3), len(one.left)] for one in sets.values())
    return told | {"chosen": chosen, "candidates": judged}


def spread(source: Path, octaves: float, folder: Path) -> Path:
    """The checkpoint beside `source` as an ONNX file of its input size, hard to quantize."""
    size = Description.read(ModelHeader.read(source).metadata, source.name).processing.input_size
    out = folder / f"{source.stem}-spread{octaves:g}.onnx"
    if not out.is_file():
        export(spread_out(checkpoint.read(source.with_suffix(".pth")), octaves), out, size)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description="Hybrid quantization and its alternatives.")
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="yolo_nas_n")
    parser.add_argument("--spread", type=float, help="powers of two between channels")
    parser.add_argument("--engine", choices=["onnxruntime", "openvino"], default="onnxruntime")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--subset", type=int, default=1000, help="pictures that judge, at most")
    parser.add_argument("--limits", type=float, nargs="+", default=LIMITS)
    parser.add_argument("--random", type=int, default=16, help="sets that test the proxies")
    parser.add_argument("--work", type=Path, default=Path("build/hybrid"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--png", type=Path)
    arguments = parser.parse_args()
    measure(arguments)


def measure(arguments: argparse.Namespace) -> None:
    """Search, print, and write the files asked for."""
    options = EngineOptions(engine=arguments.engine, threads=arguments.threads)
    source = resolve(arguments.model)
    if arguments.spread:
        source = spread(source, arguments.spread, arguments.work)
    work = arguments.work / f"{source.stem}-{arguments.engine}.onnx"
    plan = Plan(source=source, out=work, calibrate=arguments.data, subset=arguments.subset,
                options=options)  # fmt: skip
    prepared = Prepared(plan)
    outcomes = searched(prepared, arguments.limits)
    first = next(iter(outcomes.values()))
    figures = {"machine": describe(), **summary(outcomes, prepared.about())}
    figures["rank_correlation_with_loss"] = {"judged_sets": round(of_judged(outcomes), 3)}
    if arguments.random:
        journal = Journal(work.with_suffix(".proxies.jsonl"), {"plan": str(asdict(plan))})
        forms = Forms(prepared.calibration, options)
        rows = drawn(forms, prepared.validation, journal, arguments.random)
        errors = {layer.name: layer.error for layer in first.layers}
        figures["rank_correlation_with_loss"] |= correlations(rows, errors) | {"sets": len(rows)}
    for key in ("fp32_ap", "known", "chosen", "rank_correlation_with_loss"):
        print(f"{key}: {figures.get(key)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if arguments.png:
        sets = {one.left: one for outcome in outcomes.values() for one in outcome.candidates}
        chosen = {label: outcome.chosen for label, outcome in outcomes.items()}
        title = f"{source.stem} on {first.engine}, {arguments.threads} threads, {first.device}"
        draw(list(sets.values()), first.known, chosen, title, arguments.png)


if __name__ == "__main__":
    main()
