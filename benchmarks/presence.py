"""In how many frames of a video the default model sees each class.

    python -m benchmarks.presence CLIP [--score 0.5] [--every 4]

For clips of which one knows what is in them, such as one that shows none of the classes.
"""

import argparse
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.detector import as_in_a_run
from stages.sources.file import FileSource


def measure(clip: Path, score: float, every: int, model: str) -> dict[str, float]:
    """Share of frames by class, and `any` of them; every n-th frame is looked at."""
    detector = as_in_a_run(model)
    seen = []
    for frame in islice(FileSource("clip", clip).frames(), 0, None, every):
        (found,) = detector.detect([frame.image])
        sure = found.class_id[found.score >= score]
        seen.append([np.any(sure == class_id) for class_id in range(len(detector.labels))])
    present = np.array(seen)
    shares = dict(zip(detector.labels, present.mean(axis=0).tolist(), strict=True))
    return {**shares, "any": float(present.any(axis=1).mean())}


def main() -> None:
    parser = argparse.ArgumentParser(description="What the default model sees in a video.")
    parser.add_argument("clip", type=Path)
    parser.add_argument("--score", type=float, default=0.5)
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("--model", default="yolo_nas_n_int8")
    arguments = parser.parse_args()
    shares = measure(arguments.clip, arguments.score, arguments.every, arguments.model)
    print(", ".join(f"{label} {share:.1%}" for label, share in shares.items()))


if __name__ == "__main__":
    main()
