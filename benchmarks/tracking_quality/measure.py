"""Runs the tracker over every take, and scores it."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import add

import numpy as np

from benchmarks.tracking_quality.families import (
    FAMILIES,
    Family,
    Recording,
    Take,
    judged,
    record,
    rows_of,
)
from pipeline.core.arrays import F64, I64
from pipeline.core.tracks import Tracks
from stages.track_evaluation import BoxSequence, TrackScores, evaluate
from stages.track_evaluation.distractors import without_distractors
from stages.tracking import Tracker


@dataclass(frozen=True, slots=True)
class Row:
    """Scores of one family, or of one class in it."""

    name: str
    scores: TrackScores

    def figures(self) -> dict[str, float | int]:
        return self.scores.figures()


def measure(
    params: Mapping[str, object], only: Sequence[str] = (), workers: int = 2, seconds: float = 0
) -> list[Row]:
    """Scores of our tracker with these `TrackerParams`, family by family, in `workers` processes;
    0 stays in this one. `seconds` > 0 shortens every take. Raises ValueError for a family in `only`
    that there is not."""
    names = [family.name for family in FAMILIES]
    if unknown := set(only) - set(names):
        raise ValueError(f"no family {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    families = [family for family in FAMILIES if not only or family.name in only]
    jobs = [(family, _cut(take, seconds)) for family in families for take in family.takes]
    work = partial(_job, dict(params))
    if workers:
        with ProcessPoolExecutor(workers) as pool:
            results = list(pool.map(work, jobs))
    else:
        results = [work(job) for job in jobs]
    rows = []
    for family in families:
        mine = [scores for (of, _), scores in zip(jobs, results, strict=True) if of is family]
        for index, (name, _) in enumerate(rows_of(family)):
            rows.append(Row(name, reduce(add, (scores[index] for scores in mine))))
    return rows


def follow(params: Mapping[str, object], recording: Recording) -> list[Tracks]:
    """Our tracker over a recording."""
    tracker = Tracker(**params)
    return [
        tracker.update(found.xyxy, found.score, found.class_id, time_s)
        for found, time_s in zip(recording.found, recording.times_s, strict=True)
    ]


def score(family: Family, recording: Recording, tracks: Sequence[Tracks]) -> list[TrackScores]:
    """For every row of the family."""
    return [_score(family, kind, recording, tracks) for _, kind in rows_of(family)]


def _score(
    family: Family, kind: int, recording: Recording, tracks: Sequence[Tracks]
) -> TrackScores:
    true = list[tuple[I64, F64]]()
    counts = [np.empty(0, np.bool_)]
    for truth in recording.truths:
        mine = truth.class_id == kind
        true.append((truth.track_id[mine], truth.xyxy[mine]))
        counts.append(judged(family, truth)[mine])
    everything, matters = BoxSequence.of(true), np.concatenate(counts)
    found = BoxSequence.of([_of_class(some, kind) for some in tracks])
    found = without_distractors(everything, ~matters, found)
    wanted = BoxSequence(
        everything.frame[matters], everything.track_id[matters], everything.xyxy[matters]
    )
    return evaluate(wanted, found)


def _of_class(tracks: Tracks, kind: int) -> tuple[I64, F64]:
    mine = tracks.class_id == kind
    return tracks.track_id[mine], tracks.xyxy[mine].astype(np.float64)


def _cut(take: Take, seconds: float) -> Take:
    return replace(take, seconds=seconds) if 0 < seconds < take.seconds else take


def _job(params: Mapping[str, object], job: tuple[Family, Take]) -> list[TrackScores]:
    family, take = job
    recording = record(take)
    return score(family, recording, follow(params, recording))
