"""Ultralytics' loaders before the same model in ONNX Runtime.

Setting `loader`: `files` is LoadImagesAndVideos, which reads one file after the other;
`streams` is LoadStreams, a thread for each stream: with `buffer=True` on files, so that no frame is
left out, and with its default on cameras, which is the newest frame.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ultralytics.data.loaders import LoadImagesAndVideos, LoadStreams

from benchmarks.peers.loop import Batch, Detector, Job, Times, job, serve


def from_files(said: Job) -> Iterator[Batch]:
    """One clip after the other, a picture at a time."""
    for stream, clip in enumerate(said["clips"]):
        for number, (_, pictures, _) in enumerate(LoadImagesAndVideos(clip), 1):
            yield [(stream, picture) for picture in pictures]
            if number == said["frames"]:
                break


def from_streams(said: Job) -> Iterator[Batch]:
    """One picture of each stream at a time."""
    with tempfile.NamedTemporaryFile("w", suffix=".streams") as listed:
        Path(listed.name).write_text("\n".join(said["clips"]), encoding="utf-8")
        loader = LoadStreams(listed.name, buffer=not said["live"])
        for number, (_, pictures, _) in enumerate(loader, 1):
            yield list(enumerate(pictures))
            if number == said["frames"] and not said["live"]:
                break
        loader.close()


def main() -> None:
    said: Job = job()
    detector = Detector(said)
    by_threads = said["settings"].get("loader") == "streams" or said["live"]
    batches = from_streams if by_threads else from_files

    def work(begin: Callable[[], None]) -> dict[str, Any]:
        begin()
        count, found, times = 0, 0, Times()
        for batch in batches(said):
            results = detector.detect([picture for _, picture in batch])
            count, found = count + len(results), found + sum(len(boxes) for boxes, _, _ in results)
            if said["live"]:
                for stream, picture in batch:
                    times.note(stream, picture)
                if times.over:  # the loader gives black pictures where a stream has ended
                    break
        return {"frames": count, "detections": found, "times": times.told}

    serve(work)


if __name__ == "__main__":
    main()
