"""Hybrid quantization: as few layers in float as keep the accuracy, those that cost least time.

1. For every layer, the error of the outputs when it alone is quantized (`sensitivity`).
2. For every layer, block and stage, what the quantized network takes longer when it is left in
   float: measured, as float islands cost conversions at their borders, so that times do not add up.
3. Ways from all in 8 bits to all in float, by most error saved per time; on each, by bisection,
   the first set that keeps the average precision; the fastest of them without what it can spare.
4. Every set judged is measured, and the fastest one within the limit is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from detectors.quantize import latency, selection
from detectors.quantize.forms import Forms, name_of, network
from detectors.quantize.journal import Journal
from detectors.quantize.post_training import FLOAT_PARTS
from detectors.quantize.selection import Candidate, Layers, Unit
from detectors.quantize.sensitivity import PICTURES, Probe
from detectors.quantize.sqnr import LEAST_DB, layer_sqnr
from detectors.quantize.validation import Validation
from pipeline.core.errors import ConfigError

TRIES = 8
"""The number of removals from the best set that are tried."""
TOGETHER = 8
"""The number of forms that are timed in one run, so that all see the same machine."""
UNIT_BUDGET_S, CANDIDATE_BUDGET_S = 1.0, 2.5
"""The times for which a unit and a candidate are timed: a candidate's difference is smaller."""
DEPTHS = (None, 3, 2)
"""The parts of layers' names that make units: None, single layers; 3, blocks; 2, stages."""
HEADS = "/heads/"
JUDGING = "average precision"

Watch = Callable[[str, int, int], object]
"""Hears the name of a stage, how many steps of it are done, and of how many."""


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """What the search knows of a layer: `error` of the outputs when it alone is quantized, and by
    how much the quantized network gets slower when it alone is in float, in milliseconds."""

    name: str
    error: float
    cost_ms: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found. `candidates` are all that were judged; those of `known` have a name: `fp32`,
    `full` (all in 8 bits), `predictions` and `heads` (these left in float)."""

    layers: tuple[LayerFacts, ...]
    always: Layers
    candidates: tuple[Candidate, ...]
    known: dict[str, Candidate]
    chosen: Candidate
    max_drop: float
    fp32_points: float
    engine: str
    device: str


class Search:
    """The search on one calibrated network. What is measured goes through the journal, so that a
    search which was interrupted goes on, and another `max_drop` costs only what it judges anew."""

    def __init__(
        self,
        forms: Forms,
        validation: Validation,
        journal: Journal,
        watch: Watch = lambda *_: None,
    ) -> None:
        self._forms, self._validation = forms, validation
        self._layers = forms.layers
        self._all = frozenset(self._layers)
        self._journal, self._watch = journal, watch
        self._images = validation.images(PICTURES)
        self._always: Layers = frozenset()
        self._judged: dict[Layers, float] = {}

    def run(self, max_drop: float) -> Outcome:
        """Search. Blocks for minutes; raises `ConfigError` when nothing that is faster than the
        float network loses at most `max_drop` points, which must be 0 or more."""
        if not max_drop >= 0:
            raise ConfigError("max-drop", f"must be 0 points or more, not {max_drop:g}")
        errors = self._errors()
        self._always = self._too_noisy()
        plans = self._plans(errors)
        known = self._known()
        self._judged = {}
        for left in (*known.values(), self._free(plans[0])):
            self._drop(left)
        self._walk(plans, max_drop)
        self._watch(JUDGING, len(self._judged), len(self._judged))
        self._measure(self._judged, CANDIDATE_BUDGET_S, "sets")
        return self._outcome(errors, known, max_drop)

    def _errors(self) -> dict[str, float]:
        """By layer: the error of the outputs when it alone is quantized."""
        probe: list[Probe] = []

        def find(layer: str) -> float:
            if not probe:
                with self._forms.opened(self._all, portable=True) as engine:
                    probe.append(Probe(network(engine), self._images))
            with self._forms.opened(self._all - {layer}, portable=True) as engine:
                return probe[0].error(network(engine))

        found = {}
        for done, layer in enumerate(self._layers, 1):
            found[layer] = float(self._journal.once(f"error {layer}", partial(find, layer)))
            self._watch("sensitivity", done, len(self._layers))
        return found

    def _too_noisy(self) -> Layers:
        """Layers that their own quantization ruins, whatever noise comes from those before."""

        def find() -> list[str]:
            calibration = self._forms.calibration
            noise = layer_sqnr(calibration.graph, calibration.ranges, calibration.samples)
            return sorted(one.layer for one in noise if one.alone_db < LEAST_DB)

        return frozenset(self._journal.once("always", find))

    def _plans(self, errors: dict[str, float]) -> list[list[Unit]]:
        """For each depth, the network's layers as units."""
        groups = [_groups(self._layers, depth, self._always) for depth in DEPTHS]
        distinct = {members for group in groups for members in group.values()}
        forms = [self._always | members for members in sorted(distinct, key=sorted)]
        self._measure(forms, UNIT_BUDGET_S, "layers")
        return [
            [self._unit(name, members, errors) for name, members in group.items()]
            for group in groups
        ]

    def _unit(self, name: str, members: Layers, errors: dict[str, float]) -> Unit:
        error = math.fsum(errors[layer] for layer in sorted(members))
        return Unit(name, members, error, self._share(self._always | members) - 1)

    def _known(self) -> dict[str, Layers]:
        return {
            "fp32": self._all,
            "full": self._always,
            "predictions": self._always | _named(self._layers, FLOAT_PARTS),
            "heads": self._always | _named(self._layers, (HEADS,)),
        }

    def _free(self, units: Iterable[Unit]) -> Layers:
        """What seems to be no slower in float."""
        return self._always.union(*(unit.layers for unit in units if unit.cost <= 0))

    def _walk(self, plans: Sequence[list[Unit]], max_drop: float) -> None:
        """Judge sets until the best of each way is known, then what the fastest can spare."""
        for units in plans:
            selection.first_within(selection.path(units, self._always), self._drop, max_drop)
        within = [left for left, drop in self._judged.items() if drop <= max_drop]
        self._measure(within, CANDIDATE_BUDGET_S, "sets")
        fastest = min(within, key=lambda left: (self._share(left), name_of(left)))
        selection.trimmed(fastest, plans[0], self._drop, max_drop, TRIES)

    def _drop(self, left: Layers) -> float:
        """Points lost; the number of judgements to come is a guess."""
        if left not in self._judged:
            self._judged[left] = self._points(self._all) - self._points(left)
            most = len(DEPTHS) * math.ceil(math.log2(len(self._layers))) + TRIES
            self._watch(JUDGING, min(len(self._judged), most - 1), most)
        return self._judged[left]

    def _points(self, left: Layers) -> float:
        def find() -> float:
            with self._forms.opened(left) as engine:
                return self._validation.points(network(engine))

        return float(self._journal.once(f"points {name_of(left)}", find))

    def _measure(self, lefts: Iterable[Layers], budget_s: float, what: str) -> None:
        """Time forms beside full INT8, where that is not done yet."""
        todo = [left for left in lefts if f"share {name_of(left)}" not in self._journal]
        for start in range(0, len(todo), TOGETHER):
            some = todo[start : start + TOGETHER]
            ends = [self._always, *some, self._always]  # twice, as all others are compared with it
            quick = latency.quick_s(self._forms.seconds(ends, self._images[0], budget_s))
            base_s = float(min(quick[0], quick[-1]))
            if 1e3 * base_s < self._base_ms:
                self._journal.put("base_ms", 1e3 * base_s)
            for left, took_s in zip(some, quick[1:-1], strict=True):
                self._journal.put(f"share {name_of(left)}", float(took_s) / max(base_s, 1e-9))
            self._watch(f"latency of {what}", start + len(some), len(todo))

    def _share(self, left: Layers) -> float:
        """Latency of a form that was measured, as a share of that of full INT8."""
        return float(self._journal[f"share {name_of(left)}"])

    def _outcome(
        self, errors: dict[str, float], known: dict[str, Layers], max_drop: float
    ) -> Outcome:
        found = self._candidates(known)
        chosen = selection.choose(list(found.values()), max_drop)
        if chosen.left == self._all:
            raise ConfigError("max-drop", _nothing(found.values(), chosen, max_drop))
        with self._forms.opened(chosen.left) as engine:
            engine_name, device = engine.name, engine.device
        return Outcome(
            tuple(LayerFacts(name, errors[name], self._cost_ms(name)) for name in self._layers),
            self._always,
            tuple(found.values()),
            {name: found[left] for name, left in known.items()},
            chosen,
            max_drop,
            self._points(self._all),
            engine_name,
            device,
        )

    def _candidates(self, known: dict[str, Layers]) -> dict[Layers, Candidate]:
        """What was judged, by its layers in float."""
        names = {left: name for name, left in reversed(known.items())}
        return {
            left: Candidate(
                names.get(left, name_of(left)), left, drop, self._share(left) * self._base_ms
            )
            for left, drop in self._judged.items()
        }

    def _cost_ms(self, layer: str) -> float:
        if layer in self._always:
            return math.nan
        return (self._share(self._always | {layer}) - 1) * self._base_ms

    @property
    def _base_ms(self) -> float:
        """Milliseconds of full INT8, the least of all measurements; infinity before the first."""
        return float(self._journal["base_ms"]) if "base_ms" in self._journal else math.inf


def _groups(layers: Sequence[str], depth: int | None, without: Layers) -> dict[str, Layers]:
    """Layers by the first `depth` parts of their names; without a depth, each alone."""
    groups: dict[str, set[str]] = {}
    for layer in layers:
        if layer not in without:
            name = layer if depth is None else "/".join(layer.split("/")[: depth + 1])
            groups.setdefault(name, set()).add(layer)
    return {name: frozenset(members) for name, members in groups.items()}


def _named(layers: Sequence[str], parts: Sequence[str]) -> Layers:
    return frozenset(layer for layer in layers if any(part in layer for part in parts))


def _nothing(candidates: Iterable[Candidate], fp32: Candidate, max_drop: float) -> str:
    faster = [one for one in candidates if one.ms < fp32.ms]
    least = (
        f"; the least of a faster one is {min(one.drop for one in faster):.2f}" if faster else ""
    )
    return (
        f"nothing that is faster than the float network loses at most {max_drop:g} points{least}. "
        "Allow more, or train with fake quantization: eyrie model qat"
    )
