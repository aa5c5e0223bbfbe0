"""How video is read: the settings that its sources share."""

from dataclasses import dataclass, field
from typing import Final

from pipeline.core.clock import Clock, SystemClock
from stages.base import Decode, Hwaccel, PacketTap

MAX_PIXELS: Final = 16_777_216
"""4096 x 4096; 50 MB as RGB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How one connection, or one pass over a file, is read.

    - `live`: real time passes whether or not frames are read; an end is a loss.
    - `epoch` and `first_seq` are those of its first frame.
    - `fps` caps the rate: frames above it are decoded, take a `seq`, and are not yielded.
    - `pass_corrupt`: damaged pictures are given; else they take a `seq` and are not yielded.
    - `decode`: frames that are not decoded do not exist: they take no `seq`.
    - `hwaccel` is what decodes, see `Hardware`. A device that is named and cannot be had is
      `SourceUnavailable`, and a video that it does not decode `DecodeError`.
    - `max_pixels`: larger pictures are a `DecodeError`. Files have no such limit.
    - `open_timeout_s` to connect, `read_timeout_s` between two packets, and `picture_timeout_s`:
      how long packets of a live stream may come without a picture. Each source says what it does
      with them; files have no use for them.
    - `tap` gets the packets of this connection.
    """

    live: bool = False
    epoch: int = 0
    first_seq: int = 0
    fps: float | None = None
    pass_corrupt: bool = False
    decode: Decode = "all"
    hwaccel: Hwaccel = "none"
    max_pixels: int = MAX_PIXELS
    open_timeout_s: float = 10.0
    read_timeout_s: float = 10.0
    picture_timeout_s: float = 60.0
    clock: Clock = field(default_factory=SystemClock)
    tap: PacketTap | None = None
