"""`python -m pipeline.bench.child JOB`: one case, as `pipeline.bench.process` talks with it."""

import contextlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.bench.job import Job
from pipeline.bench.process import MARK
from pipeline.core.errors import EyrieError

Told = dict[str, Any]
Round = Callable[[Callable[[], None]], Told]


def main() -> None:
    """Load, then a round for every line that comes, until there are no more."""
    job = Job.from_json(sys.argv[1])
    try:
        work, told = _load(job)
        _say("ready", told)
        if job.profile:
            work = _profiled(work, Path(job.profile))
        for _ in sys.stdin:
            _say("done", work(lambda: _say("begin")))
    except EyrieError as error:
        _say("failed")
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    sys.stdout.flush()
    os._exit(0)  # nothing is left to close that a file or a receiver waits for


def _load(job: Job) -> tuple[Round, Told]:
    """What a round does, and what there is to tell of the case before it."""
    match job.kind:
        case "decode":
            from pipeline.bench.child.decode import load
        case "prepare":
            from pipeline.bench.child.prepare import load
        case "engine":
            from pipeline.bench.child.engine import load
        case _:
            from pipeline.bench.child.whole import load
    return load(job)


def _profiled(work: Round, path: Path) -> Round:
    """The same, sampled from its begin on: writes the profile, and tells `stages_ms`, the CPU time
    per frame of every stage."""
    from pipeline.bench.child.sampler import Sampler
    from pipeline.bench.child.stages import by_stage

    def sampled(begin: Callable[[], None]) -> Told:
        sampler = Sampler()
        with contextlib.ExitStack() as stack:

            def begin_sampling() -> None:
                stack.enter_context(sampler)
                begin()

            told = work(begin_sampling)
        sampler.write(path, path.stem)
        stages = by_stage(sampler.spent_ns).items()
        return {**told, "stages_ms": {name: ms / told["frames"] for name, ms in stages}}

    return sampled


def _say(word: str, told: Told | None = None) -> None:
    line = f"{MARK} {word} {json.dumps(told)}" if told else f"{MARK} {word}"
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
