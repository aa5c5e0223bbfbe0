"""The outlet to one sink of annotated pictures: a channel, and a thread that draws."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from pipeline.account import SinkReport
from pipeline.channel import Channel, WhenFull
from pipeline.core.frame import FrameInfo
from pipeline.core.log import get_logger
from pipeline.outlets.outlet import Drops, ThreadBody, as_sink_error, close_sink
from sinks.base import PictureSink
from stages.annotate import Scene, draw
from stages.privacy import PrivatePicture

log = get_logger(__name__)

_IDLE_S: Final = 0.1
"""The time of one wait for a picture, so that the end of a stream is seen meanwhile."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A frame's picture on its way to the picture sinks, and what is to be drawn on it."""

    info: FrameInfo
    picture: PrivatePicture
    scene: Scene


class PictureOutlet:
    """The way of all streams' pictures to one picture sink, in whose thread they are drawn upon: of
    a picture that is dropped before, or of a stream that has failed, no pixel is made. Holds
    `capacity` pictures at most, as the decoder gave them, and the one in hand.

    A failure of the drawing or of the sink ends the pictures of that stream there, until the stream
    begins anew.
    """

    def __init__(self, sink: PictureSink, capacity: int, when_full: WhenFull) -> None:
        self.sink = sink
        self.channel: Channel[tuple[int, Drawing]] = Channel(capacity, when_full)
        self._drops = Drops(self.channel)
        self._offered = self._turned_away = 0
        self._delivered = self._failed = 0
        self._error: str | None = None
        self._bad_streams: set[str] = set()
        self._ended: deque[tuple[int, str]] = deque()

    @property
    def loops(self) -> list[ThreadBody]:
        """The work of the outlet, for a thread of its own."""
        return [(f"sink {self.sink.name}", self.run)]

    def open(self) -> None:
        """Open the sink. Raises as `PictureSink.open` does."""
        self.sink.open()

    def close(self) -> None:
        """Close the sink; that it fails is in the report. Idempotent."""
        self._error = close_sink(self.sink) or self._error

    def offer(self, drawing: Drawing) -> None:
        """Put in the next picture of a stream. Blocks while the channel is full, under `block`. The
        publish thread."""
        if drawing.info.stream_id in self._bad_streams:
            self._turned_away += 1
        else:
            self.channel.put((self._offered, drawing))
        self._offered += 1

    def end_stream(self, stream_id: str) -> None:
        """End a stream: its file is finished behind the pictures that were offered, for no full
        channel drops this. Never blocks. The publish thread."""
        self._ended.append((self._offered, stream_id))

    @property
    def report(self) -> SinkReport:
        """The account as of now, in pictures. Any thread."""
        dropped, acknowledged = self._drops.dropped(), self._delivered
        dropped["failed"] += self._failed + self._turned_away
        produced = acknowledged + dropped.total()
        return SinkReport(
            self.sink.name,
            produced=produced,
            acknowledged=acknowledged,
            dropped=dict(+dropped),
            waiting=max(0, self._offered - produced),
            error=self._error,
        )

    def run(self) -> None:
        """Draw and deliver until the channel is finished. Blocks; the sink's own thread."""
        while not self.channel.finished or self._ended:
            ended = len(self._ended)  # before the take: what was offered before these is taken then
            taken = self.channel.take(1, _IDLE_S)
            for _ in range(ended):
                if taken and taken[0][0] < self._ended[0][0]:
                    break
                self._end(self._ended.popleft()[1])
            for _, drawing in taken:
                self._deliver(drawing)

    def abort(self) -> None:
        """Give up the pictures that wait, counted as dropped for `stopped`. Any thread."""
        self._drops.end("stopped")

    def _deliver(self, drawing: Drawing) -> None:
        stream_id = drawing.info.stream_id
        if stream_id in self._bad_streams:
            self._failed += 1
            return
        try:
            image = draw(drawing.picture.rgb(), drawing.scene)
            self.sink.write_picture(drawing.info, image)
        except Exception as error:
            log.debug("sink %r, stream %r", self.sink.name, stream_id, exc_info=True)
            self._failed += 1
            self._give_up(stream_id, error)
        else:
            self._delivered += 1

    def _end(self, stream_id: str) -> None:
        self._bad_streams.discard(stream_id)
        try:
            self.sink.end_stream(stream_id)
        except Exception as error:
            log.debug("sink %r, stream %r", self.sink.name, stream_id, exc_info=True)
            self._note(stream_id, error)

    def _give_up(self, stream_id: str, error: Exception) -> None:
        self._bad_streams.add(stream_id)
        self._note(stream_id, error)

    def _note(self, stream_id: str, error: Exception) -> None:
        told = as_sink_error(self.sink.name, error)
        self._error = f"{told} (no more pictures of stream {stream_id!r})"
        log.error("%s", self._error)
