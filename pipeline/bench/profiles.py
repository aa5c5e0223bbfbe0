"""Where the CPU time of a case goes: one more run of it, sampled, apart from those that count."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.bench.job import Case
from pipeline.bench.process import CaseFailed, CaseProcess

Stages = dict[str, dict[str, float]]
"""CPU ms per frame by subject and stage."""


def profile(
    cases: Sequence[Case], folder: Path, limit_s: float, tell: Callable[[str], None]
) -> Stages:
    """Every case once more, the second of two runs; writes `NAME.speedscope.json` for each. A case
    that fails is told and left out."""
    found: Stages = {}
    for case in cases:
        name = case.subject.replace(", ", "-").replace(" ", "_")
        path = folder / f"{name}.speedscope.json"
        tell(f"profile of {case.name}: {path}")
        sampled = replace(case, job=replace(case.job, profile=str(path.resolve())))
        try:
            with CaseProcess(sampled, limit_s) as process:
                process.turn()
                found[case.subject] = process.turn().told["stages_ms"]
        except CaseFailed as error:
            tell(str(error))
    return found
