"""`eyrie batch` with the bundled model, killed with -9 at ten random points and resumed, against
undisturbed runs with 1 and 3 workers and batches of 1 and 8: `python -m benchmarks.batch_kill`.

Cuts 40 clips from the recordings beside the checkout, or from drawn streets where there are none.
Fails if a byte differs.
"""

import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import av
import numpy as np

from benchmarks import machine
from pipeline.core.arrays import U8
from stages.sources.street import StreetScene
from stages.sources.street.encode import write_video
from tests.services import batches
from tests.stages.sources.clips import encode

CLIPS, FRAMES, KILLS, SEED = 40, 6, 10, 6
RESULT = Path(__file__).parent / "results" / "batch_kill.json"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="eyrie-batch-") as name:
        folder = Path(name)
        videos = cut(folder / "videos")
        result = {**machine.describe(), **measure(folder, videos)}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    if not result["equal"]:
        sys.exit("the results differ")


def cut(folder: Path) -> Path:
    """40 clips in folders of 10, every one from another place of the recordings."""
    chunks = (chunk for images in _recordings() for chunk in images)
    for number, chunk in enumerate(itertools.islice(chunks, CLIPS)):
        place = folder / f"camera {number // 10}"
        place.mkdir(parents=True, exist_ok=True)
        height, width, _ = chunk[0].shape
        encode(
            place / f"clip {number}.mp4", FRAMES, size=(width, height), rate=12,
            picture=partial(_picture, chunk),
        )  # fmt: skip
    return folder


def _picture(chunk: list[U8], index: int, width: int, height: int) -> U8:
    return chunk[index]


def _recordings() -> Iterator[Iterator[list[U8]]]:
    """Pieces of `FRAMES` pictures of each recording in the data, else of drawn streets."""
    found = sorted((machine.DATA / "clips").glob("*.mp4"))
    with tempfile.TemporaryDirectory(prefix="eyrie-street-") as name:
        if not found:
            found = [Path(name, f"{seed}.mp4") for seed in range(4)]
            for seed, path in enumerate(found):
                write_video(StreetScene(seed, 640, 360, frames=CLIPS // 4 * FRAMES), path)
        for path in found:
            yield _pieces(path, -(-CLIPS // len(found)))


def _pieces(path: Path, count: int) -> Iterator[list[U8]]:
    with av.open(str(path)) as container:
        images = (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))
        for _ in range(count):
            yield [np.asarray(image, np.uint8) for image in itertools.islice(images, FRAMES)]


def measure(folder: Path, videos: Path) -> dict[str, object]:
    """Sums and seconds of each run."""
    sums: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for workers, size in ((1, 1), (1, 8), (3, 1), (3, 8)):
        key = f"{workers} workers, batch {size}"
        began_s, out = time.monotonic(), folder / key
        done = batches.run("real", videos, *batches.options(out, workers, size))
        if done.returncode:
            sys.exit(done.stderr)
        sums[key], seconds[key] = batches.digest(out), round(time.monotonic() - began_s, 1)
        print(key, sums[key][:16], seconds[key], flush=True)
    pictures = CLIPS * FRAMES
    kills = batches.plan(SEED, KILLS, pictures, workers=(1, 3), sizes=(1, 8))
    began_s, out = time.monotonic(), folder / "killed"
    last = batches.killed_and_resumed("real", folder, videos, out, kills)
    if last.returncode:
        sys.exit(last.stderr)
    sums["killed"], seconds["killed"] = batches.digest(out), round(time.monotonic() - began_s, 1)
    report = json.loads((out / "report.json").read_text())
    return {
        "clips": CLIPS,
        "frames": pictures,
        "detections": report["detections"],
        "kills": [[k.pictures, k.workers, k.batch_size, k.whole_group] for k in kills],
        "sha256": sums,
        "seconds": seconds,
        "equal": len(set(sums.values())) == 1,
    }


if __name__ == "__main__":
    main()
