"""What the peers share: the talk with the harness, and a detector on ONNX Runtime as its users
write it. Imported by the scripts beside it, in their environments; needs NumPy, OpenCV and, with a
model, ONNX Runtime.

    peer                      harness
    ready                ──►
                         ◄──  go        once for each round
    begin                ──►
    done {"frames": N}   ──►
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np

MARK = "eyrie-bench"
Job = dict[str, Any]
Found = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Boxes (N, 4) in source pixels, scores (N,), classes (N,)."""
Batch = list[tuple[int, np.ndarray]]
"""Pictures (H, W, 3) uint8, each with the number of its stream."""


def job() -> Job:
    """What the harness wants; `pipeline/bench/job.py` explains it."""
    return dict(json.loads(sys.argv[1]))


def serve(work: Callable[[Callable[[], None]], dict[str, Any]]) -> None:
    """Say that all is loaded, then a round for every line that comes. `work` gets what it is to
    call when its round begins, and returns what there is to tell."""
    say("ready", {"numpy": np.__version__, "cv2": cv2.__version__})
    for _ in sys.stdin:
        say("done", work(lambda: say("begin")))


def say(word: str, told: dict[str, Any] | None = None) -> None:
    print(f"{MARK} {word} {json.dumps(told)}" if told else f"{MARK} {word}", flush=True)


class Detector:
    """Letterbox, ONNX Runtime, suppression. With no model, pictures are left as they are and
    nothing is found."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._session: Any = _session(job) if job["model"] else None
        if self._session is not None:
            self.detect([np.zeros((64, 64, 3), np.uint8)] * batch_size(job))

    def detect(self, pictures: Sequence[np.ndarray], *, bgr: bool = True) -> list[Found]:
        """Pictures (H, W, 3) uint8, of any sizes -> what is in each."""
        if self._session is None:
            return [_NOTHING for _ in pictures]
        job = self._job
        padded = [self._pad(picture) for picture in pictures]
        tensor = cv2.dnn.blobFromImages([p[0] for p in padded], 1 / 255, swapRB=bgr)
        boxes, scores = self._session.run(None, {self._session.get_inputs()[0].name: tensor})
        limits = job["score"], job["iou"]
        return [
            _suppressed(one_boxes, one_scores, way_back, *limits)
            for one_boxes, one_scores, (_, *way_back) in zip(boxes, scores, padded, strict=True)
        ]

    def _pad(self, picture: np.ndarray) -> tuple[np.ndarray, float, int, int]:
        """At the network's size, and the way back: scale, left, top."""
        height, width, pad = (self._job[key] for key in ("height", "width", "pad"))
        scale = min(height / picture.shape[0], width / picture.shape[1])
        inner = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
        left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
        canvas = np.full((height, width, 3), pad, np.uint8)
        canvas[top : top + inner[1], left : left + inner[0]] = cv2.resize(picture, inner)
        return canvas, scale, left, top


def batch_size(job: Job) -> int:
    """One picture of each stream, at most what the harness says: to wait for more of the same
    stream made no loop faster, and costs latency."""
    return min(int(job["batch"]), len(job["clips"]))


def batches(readers: list[Iterator[np.ndarray]], size: int) -> Iterator[Batch]:
    """Pictures of all streams in turn, with the stream of each, `size` at a time."""
    batch: Batch = []
    alive = dict(enumerate(readers))
    while alive:
        for stream, reader in list(alive.items()):
            picture = next(reader, None)
            if picture is None:
                del alive[stream]
                continue
            batch.append((stream, picture))
            if len(batch) == size:
                yield batch
                batch = []
    if batch:
        yield batch


class Times:
    """When results came, by stream and number of the picture: for live streams, whose pictures
    carry their number as black and white blocks in the upper left corner."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int, int]] = []
        self._newest: dict[int, int] = {}
        self._newest_s = time.monotonic() + SLOWEST_START_S

    def note(self, stream: int, picture: np.ndarray) -> None:
        """A result for this picture (H, W, 3) is there now."""
        number = number_of(picture)
        self.told.append((stream, number, time.monotonic_ns()))
        if number > self._newest.get(stream, -1):
            self._newest[stream] = number
            self._newest_s = time.monotonic()

    @property
    def over(self) -> bool:
        """Whether no stream has shown a new picture for a while: the cameras are gone."""
        return time.monotonic() > self._newest_s + GONE_AFTER_S


BLOCK_PX, BLOCKS = 16, 16
SLOWEST_START_S, GONE_AFTER_S = 20.0, 1.5


def number_of(picture: np.ndarray) -> int:
    """The number that is drawn in a picture, lowest bit first."""
    middle = BLOCK_PX // 2
    row = picture[middle, middle : BLOCK_PX * BLOCKS : BLOCK_PX].mean(axis=1)
    return int(np.dot(row > 128, 1 << np.arange(BLOCKS)))


_NOTHING: Found = (
    np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int64)
)  # fmt: skip


def _session(job: Job) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    # Threads that wait awake take the cores from decoding: on two cores every loop is slower so.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(job["model"], options, providers=["CPUExecutionProvider"])


def _suppressed(
    boxes: np.ndarray,
    scores: np.ndarray,
    way_back: Sequence[float],
    limit: float,
    overlap: float,
) -> Found:
    """Boxes (A, 4) and scores (A, C) of one picture -> what is kept, in source pixels."""
    classes = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), classes]
    chosen = best >= limit
    if not chosen.any():
        return _NOTHING
    boxes, best, classes = boxes[chosen], best[chosen], classes[chosen]
    corners = boxes.copy()
    corners[:, 2:] -= corners[:, :2]
    suppress: Any = cv2.dnn.NMSBoxes
    kept = np.asarray(suppress(corners, best, limit, overlap), np.int64).ravel()
    scale, left, top = way_back
    offset = np.array([left, top, left, top], np.float32)
    return (boxes[kept] - offset) / np.float32(scale), best[kept], classes[kept]
