"""A process that decodes cases one after the other and tells each: a crash of native code ends it,
and the first case that it has not told is the one to blame.

Reads numbers of cases from standard input, a line each; writes an outcome for each, `done JSON`.
"""

import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final, TypedDict

import av.logging

from pipeline.core.errors import SourceError
from stages.sources.file import FileSource
from stages.sources.reading import Reading
from tests.fuzz.corpus import RATE, clips
from tests.fuzz.mutate import Case, make

MOST_FRAMES: Final = 1000
"""A clip has 30; a case that gives so many repeats itself."""


DIE: Final = -1
"""No case, but the order to crash, so that the watch over crashes can be tested."""


class Outcome(TypedDict):
    """What became of one case. `fault` is what must not be: None, or why the case failed."""

    number: int
    name: str
    frames: int
    damaged: int
    error: str | None
    fault: str | None


def decode(case: Case, folder: Path) -> Outcome:
    """Read the case as a file of a user, to its end or its error."""
    path = folder / "case.bin"
    path.write_bytes(case.body)
    threads = 1 + case.number % 2
    source = FileSource("fuzz", path, Reading(fps=RATE / 2), decoder_threads=threads)
    frames, error, fault = 0, None, None
    try:
        for frame in source.frames():
            frames += 1
            if frame.image.shape != (frame.info.height, frame.info.width, 3):
                fault = f"picture of {frame.image.shape}"
            if frames == MOST_FRAMES:
                source.close()
    except SourceError as caught:
        error = type(caught).__name__
    except Exception as caught:  # noqa: BLE001 - what is no SourceError is the finding
        fault = f"{type(caught).__name__}: {caught}"
    counts = source.counts
    if frames + counts.skipped_total + counts.withheld_total != counts.decoded_total:
        fault = fault or f"account is off: {frames} frames, {counts}"
    damaged = counts.corrupt_total
    return Outcome(
        number=case.number, name=case.name, frames=frames, damaged=damaged, error=error, fault=fault
    )


def main() -> None:
    """Serve until the input ends."""
    av.logging.set_level(None)
    whole = clips()
    with tempfile.TemporaryDirectory(prefix="eyrie-fuzz-") as folder:
        for line in sys.stdin:
            number = int(line)
            if number == DIE:
                signal.raise_signal(signal.SIGSEGV)
            _say(f"done {json.dumps(decode(make(number, whole), Path(folder)))}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
