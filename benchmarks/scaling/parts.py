"""The parts of a frame's way, each alone in a process at full speed: CPU time, and the hold on
Python's lock.

    python -m benchmarks.scaling.parts PART CLIP
"""

import itertools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.gil_sampler import runtime_address
from benchmarks.scaling.publishing import standing
from detectors.letterbox import Letterbox
from pipeline.bench.clips import size_of
from pipeline.core.frame import Frame

WARM: int = 20
SECONDS: float = 1.5
BOX = Letterbox(416, 416)
PEOPLE: int = 10


def sides(clip: Path) -> tuple[int, int]:
    """Height and width of the pictures of a clip."""
    width, height = size_of(clip)
    return height, width


def decode(clip: Path) -> Iterator[object]:
    """Frames of a file, again and again; planes only."""
    from stages.sources.file import FileSource

    while True:
        yield from FileSource("s", clip, decoder_threads=1).frames()


def fit(clip: Path) -> Iterator[object]:
    """As `decode`, and to the network's size."""
    for frame in decode(clip):
        assert isinstance(frame, Frame)
        picture = frame.picture
        yield picture.fit(*BOX.place(picture.height, picture.width)[1])


def receive(clip: Path) -> Iterator[object]:
    """What the main process does for a frame out of a worker, up to its place in the batch."""
    from pipeline.workers import wire
    from pipeline.workers.layout import Wanted
    from pipeline.workers.pool import Pool
    from pipeline.workers.source import WorkerSource
    from stages.sources.file import FileSource

    pool = Pool(1)
    batch = np.empty((*BOX.place(*sides(clip))[1], 3), np.uint8)
    while True:
        source = wire.pack_source(FileSource("s", clip, decoder_threads=1))
        order = wire.Order(source, Wanted(BOX), 12)
        for frame in WorkerSource("s", order, pool.hire, live=False, repeats=True).frames():
            yield frame.picture.fit(*batch.shape[:2], out=batch)


def publish(clip: Path) -> Iterator[object]:
    """What the publish thread does: tracker, message, its bytes."""
    from benchmarks.scaling.publishing import composer, infos
    from sinks.base import Outgoing

    told = composer()
    people = standing(PEOPLE)
    for info in infos():
        messages, _ = told.frame(info, people)
        yield [Outgoing.of(message) for message in messages]


def detect(clip: Path) -> Iterator[object]:
    """Preparing, the default model on one thread, suppression: one picture at a time."""
    from detectors.engines.options import EngineOptions
    from pipeline.build.detector import make_detector
    from pipeline.config import ModelConfig

    options = EngineOptions(engine="onnxruntime", threads=1, hint="latency", integer_input=True)
    detector = make_detector(ModelConfig(), 0.1, options)
    frames = list(itertools.islice(decode(clip), 8))
    for frame in itertools.cycle(frames):
        assert isinstance(frame, Frame)
        yield detector.detect([frame.picture])


PARTS: dict[str, Callable[[Path], Iterator[object]]] = {
    part.__name__: part for part in (decode, fit, receive, publish, detect)
}


def main() -> None:
    """Says where the lock is; then works for `SECONDS`, and says how many units and CPU seconds."""
    units = PARTS[sys.argv[1]](Path(sys.argv[2]))
    for _ in range(WARM):
        next(units)
    print(runtime_address(), flush=True)
    begin_s, begin_cpu_s, count = time.monotonic(), time.process_time(), 0
    while time.monotonic() < begin_s + SECONDS:
        next(units)
        count += 1
    print(count, time.monotonic() - begin_s, time.process_time() - begin_cpu_s, flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
