"""Detect in pictures or a video, in one call, without a pipeline.

    python -m examples.predict PICTURE_FOLDER_OR_VIDEO [--model yolo_nas_n] [--out predicted]

Prints what is in each picture or frame, and writes them with boxes drawn.
"""

import argparse
from collections import Counter
from pathlib import Path

from detectors.yolo_nas import YoloNAS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("source", help="a picture, a folder of pictures, an address or a video")
    parser.add_argument("--model", default="yolo_nas_n", help="a name, an .onnx or a .pth file")
    parser.add_argument("--out", type=Path, default=Path("predicted"))
    args = parser.parse_args()

    found = YoloNAS.load(args.model).predict(args.source, conf=0.4)
    several = found if hasattr(found, "__iter__") else [found]
    for one in several:
        counts = Counter(one.class_names[label] for label in one.prediction.labels)
        print(one.name, ", ".join(f"{n} {name}" for name, n in counts.items()) or "nothing")
    if hasattr(found, "fps"):
        found.save(args.out / "video.mp4")
    else:
        for number, one in enumerate(several):
            one.save(args.out / f"{number:04}.jpg")


if __name__ == "__main__":
    main()
