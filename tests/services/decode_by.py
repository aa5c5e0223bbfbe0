"""What a file gives when it is decoded by a device: for a process with a driver of its own.

python -m tests.services.decode_by CLIP none|auto|cuda|vaapi
"""

import json
import sys
from typing import get_args

from pipeline.core.errors import SourceError
from stages.base import Hwaccel
from stages.sources.file import FileSource
from stages.sources.reading import Reading


def main() -> None:
    """Prints one line of JSON."""
    path, word = sys.argv[1:]
    asked: Hwaccel = next(kind for kind in get_args(Hwaccel) if kind == word)
    source, error = FileSource("clip", path, Reading(hwaccel=asked)), None
    frames = []
    try:
        frames = list(source.frames())
    except SourceError as failure:
        error = str(failure)
    print(  # noqa: T201 - its answer
        json.dumps(
            {
                "error": error,
                "decoder": str(source.counts.decoder),
                "seq": [frame.info.seq for frame in frames],
                "pts_ns": [frame.info.pts_ns for frame in frames],
                "shapes": sorted({frame.image.shape for frame in frames}),
                "corners": sorted({tuple(f.image[::-1, ::-1][0, 0].tolist()) for f in frames}),
                "origin": sorted({tuple(f.image[0, 0].tolist()) for f in frames}),
                "dropped": source.counts.withheld_total,
            }
        )
    )


if __name__ == "__main__":
    main()
