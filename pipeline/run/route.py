"""The way of one stream's frames through a run, and the ways of all its streams."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.compose.composer import Composer
from pipeline.core.frame import FrameInfo
from pipeline.outlets.pixels import Pixels
from pipeline.stream.stream import Stream
from stages.base import Looker


@dataclass(frozen=True, slots=True)
class Route:
    """Everything that one stream's frames pass, but for the detector and the sinks.

    `stream` decodes them, `looker` looks at their pixels for the tracker (None: nobody does),
    `composer` makes the messages, and `pixels` is the one way out of the pictures. A stream that is
    begun anew has another route with the same composer.
    """

    stream: Stream
    composer: Composer
    pixels: Pixels
    looker: Looker | None = None


class Routes:
    """The routes of the streams that are there, and the composers of all that ever were, by id.

    One thread calls `enter` and `leave`. Any may read at any time: both mappings are replaced,
    never changed.
    """

    def __init__(self) -> None:
        self.here: Mapping[str, Route] = {}
        self.composers: Mapping[str, Composer] = {}
        """The composers by id, in the order in which their streams came first: they have the
        accounts and the reports, also of streams that were removed."""

    def enter(self, route: Route) -> None:
        """Put in the route of a new stream, or of one that follows the stream of its id, whose
        frames are all settled."""
        stream_id = route.stream.id
        before = self.here.get(stream_id)
        if before is not None and before.pixels is not route.pixels:
            before.pixels.end()
        self.here = {**self.here, stream_id: route}
        self.composers = {**self.composers, stream_id: route.composer}

    def leave(self, stream_id: str) -> None:
        """Take out the route of a stream whose end was told. Nothing stays but its composer."""
        route = self.here[stream_id]
        self.here = {id_: other for id_, other in self.here.items() if id_ != stream_id}
        route.composer.retire()
        route.composer.report.oldest_s = route.stream.lane.oldest_s

    def drop(self, info: FrameInfo) -> None:
        """Count a frame that is given up. Any thread."""
        self.composers[info.stream_id].account.drop_if_open(info.seq, "stopped")
