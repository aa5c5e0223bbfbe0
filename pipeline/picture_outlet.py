"""Between the pipeline and one sink of annotated pictures."""

from dataclasses import dataclass

from pipeline.channel import Channel, WhenFull
from pipeline.core.arrays import U8
from pipeline.core.errors import SinkError
from pipeline.core.frame import FrameInfo
from pipeline.core.log import get_logger
from pipeline.outlet import Loop, unexpected
from pipeline.telemetry import SinkReport
from sinks.base import PictureSink

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Annotated:
    """An annotated picture on its way to the picture sinks; `image` None ends the stream."""

    stream_id: str
    info: FrameInfo | None
    image: U8 | None


class PictureOutlet:
    """Delivers pictures to one picture sink. A failure ends the pictures of that stream there."""

    def __init__(self, sink: PictureSink, capacity: int, when_full: WhenFull) -> None:
        self.sink = sink
        self.channel: Channel[Annotated] = Channel(capacity, when_full)
        self._delivered = 0
        self._failed = 0
        self._error: str | None = None
        self._bad_streams: set[str] = set()

    @property
    def loops(self) -> list[Loop]:
        """What is to be run, each in a thread of its own."""
        return [(f"sink {self.sink.name}", self.run)]

    def open(self) -> None:
        """Raises as `PictureSink.open` does."""
        self.sink.open()

    def close(self) -> None:
        """Close the sink. Idempotent."""
        self.sink.close()

    @property
    def report(self) -> SinkReport:
        """The account as of now, in pictures. Any thread."""
        channel = self.channel.statistics()
        dropped = {"failed": self._failed, "queue_full": channel.dropped}
        return SinkReport(
            self.sink.name,
            produced=self._delivered + self._failed + channel.dropped,
            acknowledged=self._delivered,
            dropped={reason: count for reason, count in dropped.items() if count},
            waiting=channel.waiting,
            error=self._error,
        )

    def run(self) -> None:
        """Deliver until the channel is finished. Blocks; the sink's own thread."""
        while pictures := self.channel.take(1):
            picture = pictures[0]
            if picture.stream_id in self._bad_streams:
                self._failed += picture.image is not None
                continue
            try:
                self._deliver(picture)
            except Exception as error:
                log.debug("sink %r", self.sink.name, exc_info=True)
                self._give_up(picture, error)

    def _give_up(self, picture: Annotated, error: Exception) -> None:
        told = error if isinstance(error, SinkError) else unexpected(self.sink.name, error)
        self._bad_streams.add(picture.stream_id)
        self._failed += picture.image is not None
        self._error = f"{told} (no more pictures of stream {picture.stream_id!r})"
        log.error("%s", self._error)

    def abort(self) -> None:
        """Give up the pictures that wait. Any thread."""
        self.channel.abort()

    def _deliver(self, picture: Annotated) -> None:
        if picture.info is None or picture.image is None:
            self.sink.end_stream(picture.stream_id)
        else:
            self.sink.write_picture(picture.info, picture.image)
            self._delivered += 1
