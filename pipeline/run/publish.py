"""The publish thread: results and stream changes become messages and pictures, for the outlets."""

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from pipeline.core.clock import Clock
from pipeline.core.errors import EyrieError
from pipeline.core.frame_record import AnyMessage
from pipeline.core.log import get_logger, redact
from pipeline.core.turn import NUMPY_TURN
from pipeline.outlets.outlet import Outlet
from pipeline.outlets.pictures import Drawing, PictureOutlet
from pipeline.outlets.spooled import SpooledOutlet
from pipeline.run.inbox import Detected, Inbox, Item, Lost
from pipeline.run.route import Route, Routes
from pipeline.stream.changes import StreamDown, StreamEnded, StreamHealth, StreamRules, StreamUp
from sinks.base import Outgoing
from stages.annotate import LinePicture, Scene

log = get_logger(__name__)

MessageOutlet = Outlet | SpooledOutlet

_MOST_PER_TURN: Final = 64
"""The most items of one look at the inbox: between two, ends and heartbeats are looked after."""


class Publish:
    """The work between the inbox and the channels of the outlets, until the inbox is finished; then
    it closes them.

    A fault in what makes messages or pictures of one stream's frames ends that stream alone: its
    frames are dropped and counted as `stopped`, and `faults` says why, by id. `run` is the whole
    work of a thread. With `helped`, threads that have results publish them where that thread has
    nothing to do: to wake it costs as much as to do its work. One thread at a time publishes, and
    `on_nobody_reads` is called by it, once, when every sink is gone.
    """

    def __init__(
        self,
        routes: Routes,
        inbox: Inbox,
        outlets: Sequence[MessageOutlet],
        picture_outlets: Sequence[PictureOutlet],
        labels: Sequence[str],
        clock: Clock,
        on_nobody_reads: Callable[[], None],
        *,
        heartbeat_s: float = 0,
        helped: bool = False,
    ) -> None:
        self.faults: dict[str, str] = {}
        self._routes, self._inbox, self._labels, self._clock = routes, inbox, labels, clock
        self._outlets, self._picture_outlets = outlets, picture_outlets
        self._on_nobody_reads, self._nobody_reads = on_nobody_reads, False
        self._heartbeat_s = heartbeat_s or None
        self._beaten_s = clock.monotonic_s()
        self._ending: dict[str, StreamEnded] = {}
        self._helped, self._publishing = helped, threading.Lock()

    def run(self) -> None:
        """Publish until the inbox is finished. Blocks; a thread of its own."""
        while not self._inbox.finished:
            self._inbox.wait(self._silence_s())
            with self._publishing:
                self._turn()
        with self._publishing:
            self._end_settled()
            for outlet in (*self._outlets, *self._picture_outlets):
                outlet.channel.close()
            for route in self._routes.here.values():
                self._attempt(route, route.pixels.end)

    def offer(self, items: Sequence[Item], taken: Callable[[], object] = lambda: None) -> None:
        """Hand results over, in order and by one thread at a time: into the inbox, which blocks
        while it is full, or with `helped`, where nobody publishes now and all sinks have room, by
        publishing them. `taken` is called once nothing holds them up any more."""
        if self._helped and self._publishing.acquire(blocking=False):
            try:
                if self._has_room and not self._inbox.closed:
                    taken()
                    self._turn(items)
                    return
            finally:
                self._publishing.release()
        for item in items:
            self._inbox.put(item)
        taken()

    @property
    def _has_room(self) -> bool:
        return all(one.channel.has_room for one in (*self._outlets, *self._picture_outlets))

    def complete(self) -> None:
        """Expect no more results, and no more changes of streams."""
        self._inbox.close()

    def _turn(self, more: Sequence[Item] = ()) -> None:
        """Publish what waits in the inbox, then `more`, and see to ends and heartbeats."""
        most = sys.maxsize if more else _MOST_PER_TURN  # all that came before `more`
        for item in (*self._inbox.take(most, 0), *more):
            self._handle(item)
        self._end_settled()
        self._stop_if_nobody_reads()
        self._beat()

    def _handle(self, item: Item) -> None:
        route = self._routes.here.get(item.stream_id)
        # without a route: said by an abandoned decoder behind the end of its stream
        is_well = route is not None and self._attempt(route, partial(self._tell, route, item))
        if not is_well and isinstance(item, Detected | Lost):
            self._routes.drop(item.info)  # unless it was published
        if route is not None:
            self._end_if_settled(route)

    def _attempt(self, route: Route, work: Callable[[], None]) -> bool:
        """Do some work for one stream. What it raises is the fault of that stream, and ends it.
        False: a fault has ended it, now or before."""
        try:
            work()
        except Exception as error:
            log.debug("stream %r", route.stream.id, exc_info=True)
            self._fail(route, error)
        return route.stream.id not in self.faults

    def _fail(self, route: Route, error: Exception) -> None:
        stream = route.stream
        if stream.id in self.faults:
            return
        is_ours = isinstance(error, EyrieError)
        why = f"{error}" if is_ours else f"unexpected {type(error).__name__}: {error}"
        self.faults[stream.id] = redact(f"stream {stream.id!r}: behind the detector: {why}")
        log.error("%s: the stream ends, the others go on", self.faults[stream.id])
        stream.stop()
        stream.lane.abort()

    def _tell(self, route: Route, item: Item) -> None:
        composer, stream_id = route.composer, item.stream_id
        if isinstance(item, StreamEnded):
            self._ending[stream_id] = item
        if stream_id in self.faults:
            return
        match item:
            case Detected():
                self._publish_frame(route, item)
            case Lost():
                raise item.error
            case StreamUp():
                self._send(composer.up(item))
            case StreamDown():
                self._send(composer.down(item))
                route.pixels.end(item.epoch)
            case StreamHealth():
                self._send(composer.health(item))
            case StreamRules():
                self._send(composer.change_rules(item.rules))

    def _publish_frame(self, route: Route, item: Detected) -> None:
        composer, info = route.composer, item.info
        try:
            with NUMPY_TURN:
                messages, tracks = composer.frame(info, item.detections, item.seen)
        except Exception:
            self._send(composer.made())
            raise
        self._send(messages)
        private = route.pixels.publish(
            info, item.picture, item.detections, tracks, draws=bool(self._picture_outlets)
        )
        if private is not None:
            lines = [LinePicture.of(line) for line in composer.lines]
            caption = f"{info.stream_id}  {info.pts_ns / 1e9:.1f} s"
            scene = Scene(tracks, self._labels, lines, composer.zones, caption)
            for outlet in self._picture_outlets:
                outlet.offer(Drawing(info, private, scene))

    def _end_settled(self) -> None:
        """End the streams that are over and whose last frames were dropped, which no result
        tells."""
        for stream_id in list(self._ending):
            if (route := self._routes.here.get(stream_id)) is not None:
                self._end_if_settled(route)

    def _end_if_settled(self, route: Route) -> None:
        """Tell the end of a stream after the last of its frames."""
        stream_id = route.stream.id
        if stream_id in self._ending and route.composer.account.settled:
            self._send(self._last_messages(route, self._ending.pop(stream_id)))
            self._attempt(route, route.pixels.end)
            for outlet in self._picture_outlets:
                outlet.end_stream(stream_id)

    def _last_messages(self, route: Route, ended: StreamEnded) -> list[AnyMessage]:
        try:
            return route.composer.end(self._with_fault(ended))
        except Exception as error:
            log.debug("stream %r", route.stream.id, exc_info=True)
            self._fail(route, error)
            return route.composer.break_off(self._with_fault(ended))

    def _with_fault(self, ended: StreamEnded) -> StreamEnded:
        return replace(ended, error=self.faults.get(ended.stream_id, ended.error))

    def _silence_s(self) -> float | None:
        """The seconds until the next heartbeats are due; None: there are none."""
        if self._heartbeat_s is None:
            return None
        return max(0.0, self._beaten_s + self._heartbeat_s - self._clock.monotonic_s())

    def _beat(self) -> None:
        """Send heartbeats every `heartbeat_s`, as far as this thread does not wait for a sink."""
        interval_s = self._heartbeat_s
        if interval_s is None or self._silence_s():
            return
        self._beaten_s = self._clock.monotonic_s()
        for route in self._routes.here.values():
            self._attempt(route, partial(self._send_heartbeat, route, interval_s))

    def _send_heartbeat(self, route: Route, interval_s: float) -> None:
        self._send(route.composer.heartbeat(interval_s))

    def _stop_if_nobody_reads(self) -> None:
        """Without any sink, messages are made for the report and the evidence."""
        outlets = (*self._outlets, *self._picture_outlets)
        is_gone = bool(outlets) and all(outlet.channel.closed for outlet in outlets)
        if is_gone and not self._nobody_reads:
            self._nobody_reads = True
            log.error("every sink is gone: stopping")
            self._on_nobody_reads()

    def _send(self, messages: list[AnyMessage]) -> None:
        told = [(message, Outgoing.of(message)) for message in messages]
        for outlet in self._outlets:
            for message, outgoing in told:
                outlet.offer(message, outgoing)
