"""A decoded picture and what is known about it."""

from dataclasses import dataclass

from pipeline.core.arrays import U8
from pipeline.core.clock import ClockSource
from pipeline.core.picture import Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameInfo:
    """What stays of a frame after its pixels are freed.

    - `epoch`: starts at 0, grows by one at every (re)connect of the stream.
    - `seq`: counts the decoded frames of the stream from 0, over all epochs; gaps are drops.
    - `pts_ns`: media time within the epoch, as the source gives it.
    - `captured_ns`: wall clock of the exposure, UTC; `clock` says how it is known and
      `uncertainty_ns` how well.
    - `rested_ns`: media time of the epoch before this frame in which the stream was at rest, so
      that its motion gate left out all frames; 0 without a gate.
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
    rested_ns: int = 0

    def __post_init__(self) -> None:
        if not self.stream_id:
            raise ValueError("FrameInfo: stream_id is empty")
        if self.epoch < 0 or self.seq < 0:
            raise ValueError(f"FrameInfo: epoch {self.epoch} and seq {self.seq} must be >= 0")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"FrameInfo: size {self.width}x{self.height} must be at least 1x1")


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture, and what is known about it. Pixels are made of `picture` as they are wanted."""

    info: FrameInfo
    picture: Picture

    def __post_init__(self) -> None:
        info, picture = self.info, self.picture
        if (picture.height, picture.width) != (info.height, info.width):
            raise ValueError(
                f"Frame: picture must be {info.width}x{info.height}, "
                f"not {picture.width}x{picture.height}"
            )

    @property
    def image(self) -> U8:
        """See `Picture.rgb`: of a decoded picture, a conversion of all its pixels."""
        return self.picture.rgb()
