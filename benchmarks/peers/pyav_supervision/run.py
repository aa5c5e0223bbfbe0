"""PyAV decodes, ONNX Runtime detects, `trackers` follows, supervision holds the boxes.

Decoding has as many threads as FFmpeg chooses (`thread_type = "AUTO"`), as PyAV's documents advise.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import av
import numpy as np
import supervision
from trackers import ByteTrackTracker

from benchmarks.peers.loop import Detector, Job, Times, batch_size, batches, job, serve


def frames(clip: str, count: int | None) -> Iterator[np.ndarray]:
    """Pictures (H, W, 3) uint8 RGB; None: to the end."""
    with av.open(clip) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        pictures = container.decode(stream)
        for _ in range(count) if count else itertools.count():
            try:
                yield next(pictures).to_ndarray(format="rgb24")
            except (StopIteration, av.error.FFmpegError):  # a camera's end is an error
                return


def main() -> None:
    said: Job = job()
    detector = Detector(said)

    def work(begin: Callable[[], None]) -> dict[str, Any]:
        begin()
        count, found, times = 0, 0, Times()
        trackers = [ByteTrackTracker() for _ in said["clips"]]
        most = None if said["live"] else said["frames"]
        readers = [frames(clip, most) for clip in said["clips"]]
        for batch in batches(readers, batch_size(said)):
            results = detector.detect([picture for _, picture in batch], bgr=False)
            for (stream, picture), (xyxy, score, class_id) in zip(batch, results, strict=True):
                held = supervision.Detections(xyxy=xyxy, confidence=score, class_id=class_id)
                trackers[stream].update(held)
                count, found = count + 1, found + len(held)
                if said["live"]:
                    times.note(stream, picture)
        return {"frames": count, "detections": found, "times": times.told}

    serve(work)


if __name__ == "__main__":
    main()
