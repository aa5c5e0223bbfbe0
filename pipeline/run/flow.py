"""The middle of a run: frames of all streams through the detector, results to all sinks.

    stream thread ─► lane ─┐                                             ┌─► channel ─► sink thread
                           ├─► detect crew ──► inbox ──► publish thread ─┤
    stream thread ─► lane ─┘                                             └─► channel ─► sink thread

Closing flows the way the frames do: a stream closes its lane, the detect crew the inbox when all
lanes are finished, the publish thread the channels of the sinks. So a drain is `stop` on every
stream and waiting; an abort is `abort` on every channel.
"""

import threading
from collections.abc import Sequence

from detectors.base import Detector
from pipeline.account import Report
from pipeline.config import BatchConfig
from pipeline.core.clock import Clock
from pipeline.outlets.evidence import EvidenceOutlet
from pipeline.outlets.outlet import ThreadBody
from pipeline.outlets.pictures import PictureOutlet
from pipeline.outlets.spooled import SpooledOutlet
from pipeline.run.detect import Detect
from pipeline.run.inbox import Detected, Inbox, Item, Lost
from pipeline.run.publish import MessageOutlet, Publish
from pipeline.run.route import Route, Routes
from pipeline.stream.changes import StreamChange
from pipeline.stream.lane import Lane


class Flow:
    """The routes and outlets of one run, and the loops between them.

    Each of `loops` is the whole work of a thread. `enter`, `withdraw` and `leave` are for one
    thread; everything else may be called from any, and never blocks, except `tell`. `helped`: the
    threads that detect publish as well, where there are several and nobody else is at it.
    """

    def __init__(
        self,
        detector: Detector,
        batch: BatchConfig,
        clock: Clock,
        outlets: Sequence[MessageOutlet] = (),
        picture_outlets: Sequence[PictureOutlet] = (),
        evidence: EvidenceOutlet | None = None,
        *,
        heartbeat_s: float = 0,
        helped: bool = True,
    ) -> None:
        self.outlets, self.evidence = [*outlets, *picture_outlets], evidence
        self._spooled = [outlet for outlet in outlets if isinstance(outlet, SpooledOutlet)]
        self.routes = Routes()
        # some batches of results, and room for what streams say: a short wait stops no engine
        self.inbox: Inbox = Inbox(4 * batch.size + 16, "block", on_drop=self._count_stopped)
        self.publish = Publish(
            self.routes, self.inbox, outlets, picture_outlets, detector.labels, clock,
            self._stop_for_good, heartbeat_s=heartbeat_s,
            helped=helped and detector.concurrency > 1,
        )  # fmt: skip
        self.detect = Detect(
            detector, batch, clock, self.routes, self.publish, draws=bool(picture_outlets)
        )

    @property
    def condition(self) -> threading.Condition:
        """The condition that all lanes share."""
        return self.detect.condition

    @property
    def labels(self) -> Sequence[str]:
        """The names of the classes that the detector knows."""
        return self.detect.labels

    @property
    def loops(self) -> list[ThreadBody]:
        """The threads of the run, beside those of its streams."""
        loops = [("publish", self._publish), *self.detect.loops]
        loops += [loop for outlet in self.outlets for loop in outlet.loops]
        return loops + (self.evidence.loops if self.evidence is not None else [])

    @property
    def deliver_threads(self) -> set[str]:
        """The threads that may be left behind: what they have not delivered is in a spool."""
        return {outlet.deliver_thread for outlet in self._spooled}

    def leave_deliveries(self) -> None:
        """Let sinks with a spool deliver no more; what waits is left there."""
        for outlet in self._spooled:
            outlet.leave()

    def enter(self, route: Route) -> None:
        """Let in a stream, or one that follows the stream of its id, whose frames are settled."""
        self.publish.faults.pop(route.stream.id, None)
        self.routes.enter(route)
        self.detect.add_lane(route.stream.lane)

    def withdraw(self, lane: Lane) -> None:
        """Look no more at the lane of a stream that was halted."""
        self.detect.remove_lane(lane)

    def leave(self, stream_id: str) -> None:
        """Forget a stream whose end was told, but for its account and its report."""
        self.routes.leave(stream_id)
        self.publish.faults.pop(stream_id, None)

    def has_failed(self, stream_id: str) -> bool:
        """Ask whether a fault behind the detector has ended the stream."""
        return stream_id in self.publish.faults

    def tell(self, change: StreamChange) -> None:
        """Pass on what a stream says of itself. Blocks while the inbox is full."""
        self.inbox.put(change)

    def stop(self) -> None:
        """Let no new frames in; what is decoded goes on to the sinks."""
        for route in self.routes.here.values():
            route.stream.stop()

    def cut(self) -> None:
        """Let no new frames in, and drop and count those that wait in lanes. No lane comes any
        more."""
        for route in self.routes.here.values():
            route.stream.stop()
            route.stream.lane.abort()
        self.complete()

    def abort(self) -> None:
        """Drop and count the frames that wait, and give up the messages that wait."""
        self.cut()
        self.inbox.abort()
        for outlet in self.outlets:
            outlet.abort()
        if self.evidence is not None:
            self.evidence.abort()

    def complete(self) -> None:
        """Expect no more lanes: the run ends once all are finished."""
        self.detect.complete()

    @property
    def is_completed(self) -> bool:
        """True once `complete` was called."""
        return self.detect.is_completed

    def report(self) -> Report:
        """Make the account as of now, which nothing changes afterwards."""
        reports, routes = [], self.routes.here
        for stream_id, composer in self.routes.composers.items():
            report = composer.snapshot()
            if stream_id in routes:
                report.oldest_s = routes[stream_id].stream.lane.oldest_s
            reports.append(report)
        sinks = [outlet.report for outlet in self.outlets]
        evidence = self.evidence.report() if self.evidence is not None else None
        load, latency = self.detect.reports()
        return Report(reports, sinks, load=load, latency=latency, evidence=evidence)

    def _publish(self) -> None:
        self.publish.run()
        if self.evidence is not None:
            self.evidence.close()

    def _stop_for_good(self) -> None:
        self.stop()
        self.complete()

    def _count_stopped(self, item: Item) -> None:
        if isinstance(item, Detected | Lost):
            self.routes.drop(item.info)
