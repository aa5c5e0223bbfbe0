"""The filter of what one sink gets of all messages: some kinds, streams, classes, scores, lines,
zones."""

from collections.abc import Collection
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from pipeline.core.frame_record import AnyMessage, DetectionRow, FrameRecord
from pipeline.core.messages import (
    Detection,
    EventMessage,
    FrameMessage,
    Kind,
    TrackEndMessage,
)


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of messages: a key of None lets everything through, and all others must hold.

    `kinds`, `streams` (patterns of `fnmatch`, capitals count), `lines` and `zones` take whole
    messages away; `lines` and `zones` are about events alone: with either, events of other lines
    and zones go. `classes` and `min_score` take detections out of frame messages: these go on,
    empty if need be, so that a consumer can still prove by `seq` that none is missing. `classes`
    also takes away ends of tracks and events of objects of other classes, which have no score.
    """

    kinds: Collection[Kind] | None = None
    streams: tuple[str, ...] | None = None
    classes: Collection[str] | None = None
    min_score: float = 0.0
    lines: Collection[str] | None = None
    zones: Collection[str] | None = None
    _streams: dict[str, bool] = field(default_factory=dict, repr=False, compare=False)

    def apply(self, message: AnyMessage) -> AnyMessage | None:
        """The message itself where nothing is taken out of it, a copy with fewer detections, or
        None where the sink is not to get it. One thread at a time."""
        if self.kinds is not None and message.kind not in self.kinds:
            return None
        if self.streams is not None and not self._takes_stream(message.stream_id):
            return None
        match message:
            case FrameMessage() | FrameRecord():
                return self._strip(message)
            case TrackEndMessage():
                return message if self._takes_class(message.label) else None
            case EventMessage():
                return message if self._takes_event(message) else None
        return message

    def takes_stream(self, stream_id: str) -> bool:
        """True if any message of this stream gets through."""
        return self.streams is None or any(fnmatchcase(stream_id, p) for p in self.streams)

    def _takes_stream(self, stream_id: str) -> bool:
        known = self._streams.get(stream_id)
        if known is None:
            known = self._streams[stream_id] = self.takes_stream(stream_id)
        return known

    def _takes_class(self, label: str) -> bool:
        return self.classes is None or label in self.classes

    def _takes_event(self, event: EventMessage) -> bool:
        if self.lines is not None or self.zones is not None:
            line, zone = getattr(event, "line", None), getattr(event, "zone", None)
            if line not in (self.lines or ()) and zone not in (self.zones or ()):
                return False
        label = getattr(event, "label", None)
        return label is None or self._takes_class(label)

    def _takes(self, found: Detection | DetectionRow) -> bool:
        return found.score >= self.min_score and self._takes_class(found.label)

    def _strip(self, message: FrameMessage | FrameRecord) -> AnyMessage:
        if isinstance(message, FrameRecord):
            rows = [row for row in message.detections if self._takes(row)]
            if len(rows) == len(message.detections):
                return message
            return message.with_detections(rows)
        kept = [found for found in message.detections if self._takes(found)]
        if len(kept) == len(message.detections):
            return message
        return message.model_copy(update={"detections": kept})
