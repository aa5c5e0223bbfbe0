"""The contracts of the stages. A stage is a plain object that a test calls; threads, queues and
retries live in `pipeline`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from pipeline.core.arrays import F32, I32
from pipeline.core.frame import Frame
from pipeline.core.tracks import Tracks


@dataclass(slots=True)
class Counts:
    """What became of the pictures of one source, readable while it runs.

    `decoded_total = yielded + skipped_total`; damaged pictures are in `corrupt_total` alone and
    take no `seq`, so that a gap between two yielded `seq` is always the frame rate's doing.
    """

    decoded_total: int = 0
    skipped_total: int = 0
    corrupt_total: int = 0


class Source(Protocol):
    """Pictures of one stream, for one connection.

    Made by the runner, which calls `frames` once in a thread of the stream's own. A live source is
    made anew for every reconnect, with the next epoch and the next `seq`.
    """

    live: bool
    """True: real time passes whether or not frames are read, and an end is a disconnect.
    False: frames wait until they are read, and an end is the end."""

    frame_count: int | None
    """Frames to expect, known once `frames` has given one; None: unknown or endless."""

    counts: Counts

    def frames(self) -> Iterator[Frame]:
        """Yield frames in order; blocks in native code while decoding or waiting for the network.
        A gap between two `seq` are frames left out to keep the stream's frame rate.

        Raises `SourceUnavailable` (missing, refused, lost) or `DecodeError` (no video in it).
        Ends without error at the end of a file, or after `close`.
        """

    def close(self) -> None:
        """Make `frames` end soon. Never blocks; may come from another thread, and twice."""


class Tracker(Protocol):
    """Gives identities to the detections of one stream; one object per stream."""

    def update(self, xyxy: F32, score: F32, class_id: I32, time_s: float | None = None) -> Tracks:
        """Detections (N, 4), (N,), (N,) of the next frame at media time `time_s` -> tracks."""

    def reset(self) -> None:
        """Forget all tracks, at a gap: reconnect, seek, jump in time. Ids are not reused."""
