"""A decoded picture and what is known about it."""

from dataclasses import dataclass

import numpy as np

from pipeline.core.arrays import U8
from pipeline.core.clock import ClockSource


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameInfo:
    """What stays of a frame after its pixels are freed.

    - `epoch`: starts at 0, grows by one at every (re)connect of the stream.
    - `seq`: counts the decoded frames of the stream from 0, over all epochs; gaps are drops.
    - `pts_ns`: media time within the epoch, as the source gives it.
    - `captured_ns`: wall clock of the exposure, UTC; `clock` says how it is known and
      `uncertainty_ns` how well.
    """

    stream_id: str
    epoch: int
    seq: int
    pts_ns: int
    captured_ns: int
    arrived_ns: int
    clock: ClockSource
    uncertainty_ns: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if not self.stream_id:
            raise ValueError("FrameInfo: stream_id is empty")
        if self.epoch < 0 or self.seq < 0:
            raise ValueError(f"FrameInfo: epoch {self.epoch} and seq {self.seq} must be >= 0")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"FrameInfo: size {self.width}x{self.height} must be at least 1x1")


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture. `image` is (height, width, 3) uint8 RGB, contiguous, and read-only by custom:
    whoever draws on it draws on a copy."""

    info: FrameInfo
    image: U8

    def __post_init__(self) -> None:
        wanted = (self.info.height, self.info.width, 3)
        if self.image.shape != wanted or self.image.dtype != np.uint8:
            raise ValueError(
                f"Frame: image must be {wanted} uint8, not {self.image.shape} {self.image.dtype}"
            )
