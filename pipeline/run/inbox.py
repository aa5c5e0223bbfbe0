"""The inbox of the publish thread: results of frames, and what streams say of themselves."""

from dataclasses import dataclass

from pipeline.channel import Channel
from pipeline.core.detections import Detections
from pipeline.core.frame import FrameInfo
from pipeline.core.picture import Picture
from pipeline.core.seen import FrameFeatures
from pipeline.stream.changes import StreamChange


@dataclass(frozen=True, slots=True)
class Detected:
    """The result of a frame on its way to be published: pixels only where something is made of
    them, and `seen` only where a tracker wants to know more of them than the detections."""

    info: FrameInfo
    detections: Detections
    picture: Picture | None
    seen: FrameFeatures | None

    @property
    def stream_id(self) -> str:
        """The id of the frame's stream."""
        return self.info.stream_id


@dataclass(frozen=True, slots=True)
class Lost:
    """A frame whose result could not be made, for a fault of what looks at its stream's pixels."""

    info: FrameInfo
    error: Exception

    @property
    def stream_id(self) -> str:
        """The id of the frame's stream."""
        return self.info.stream_id


Item = Detected | Lost | StreamChange
Inbox = Channel[Item]
