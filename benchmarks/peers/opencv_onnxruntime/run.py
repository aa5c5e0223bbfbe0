"""cv2.VideoCapture and ONNX Runtime: the loop that most people write first.

Setting `reader`: `loop` reads and detects in turn; `threads` reads every stream in a thread of its
own into a queue, as guides to faster loops advise.
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import cv2
import numpy as np

from benchmarks.peers.loop import Detector, Job, Times, batch_size, batches, job, serve

WAITING_FRAMES = 8


def frames(clip: str, count: int | None) -> Iterator[np.ndarray]:
    """Pictures (H, W, 3) uint8 BGR; None: to the end."""
    capture = cv2.VideoCapture(clip)
    for _ in range(count) if count else itertools.count():
        taken, picture = capture.read()
        if not taken:
            break
        yield picture
    capture.release()


def queued(clip: str, count: int | None) -> Iterator[np.ndarray]:
    """The same, read ahead by a thread."""
    waiting: Queue[np.ndarray | None] = Queue(WAITING_FRAMES)

    def read() -> None:
        for picture in frames(clip, count):
            waiting.put(picture)
        waiting.put(None)

    threading.Thread(target=read, daemon=True).start()
    while (picture := waiting.get()) is not None:
        yield picture


def main() -> None:
    said: Job = job()
    detector = Detector(said)
    open_reader = queued if said["settings"].get("reader") == "threads" else frames

    def work(begin: Callable[[], None]) -> dict[str, Any]:
        begin()
        count, found, times = 0, 0, Times()
        most = None if said["live"] else said["frames"]
        readers = [open_reader(clip, most) for clip in said["clips"]]
        for batch in batches(readers, batch_size(said)):
            results = detector.detect([picture for _, picture in batch])
            count, found = count + len(results), found + sum(len(boxes) for boxes, _, _ in results)
            if said["live"]:
                for stream, picture in batch:
                    times.note(stream, picture)
        return {"frames": count, "detections": found, "times": times.told}

    serve(work)


if __name__ == "__main__":
    main()
