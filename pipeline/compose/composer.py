"""The composer of a stream's messages: detections to tracks, events and messages. No thread in
here.

detections -> masks -> tracker -> plane -> lines and zones -> messages
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

import numpy as np

from pipeline.account import StreamAccount, StreamReport
from pipeline.compose.envelope import Envelopes
from pipeline.compose.events import EventMessages, moment_of
from pipeline.compose.status import StatusMessages
from pipeline.compose.tracks import PublishedTrack, PublishedTracks, rows
from pipeline.core.arrays import Bool
from pipeline.core.clock import Clock, utc_datetime, utc_text
from pipeline.core.detections import Detections
from pipeline.core.errors import DownCause
from pipeline.core.frame import FrameInfo
from pipeline.core.frame_record import AnyMessage, FrameRecord, PlaneRow
from pipeline.core.messages import (
    LineCrossMessage,
    Producer,
    TrackEndCause,
    TrackEndMessage,
    message_id,
)
from pipeline.core.seen import FrameFeatures
from pipeline.core.tracks import Tracks
from pipeline.stream.changes import StreamDown, StreamEnded, StreamHealth, StreamUp
from stages.base import Tracker
from stages.evidence.base import Refer
from stages.plane import PlaneStage
from stages.zones import LineTotals, Rules, Site, ZoneEvent, ZonePicture

_NOWHERE: Final = Site()
"""The site of all streams that were removed: nobody asks it anything."""
_ON_REQUEST: Final[tuple[DownCause, ...]] = ("paused", "restarted")


class Composer:
    """The maker of one stream's messages, out of its results in order. The publish thread.

    Detections below `score_threshold` are told only where they continue a confirmed track.
    """

    beats: bool
    """True if the stream has heartbeats. A stream that ends by itself has none: repeated runs give
    the same messages."""

    def __init__(
        self,
        account: StreamAccount,
        producer: Producer,
        labels: Sequence[str],
        tracker: Tracker | None,
        rules: Rules,
        score_threshold: float,
        clock: Clock,
        *,
        beats: bool = False,
        plane: PlaneStage | None = None,
        refer: Refer | None = None,
    ) -> None:
        self.account = account
        self.report = StreamReport(account.stream_id, started_s=clock.monotonic_s())
        self.beats = beats
        self._labels = labels
        self._tracker, self._plane = tracker, plane
        self._site = Site(rules)
        self._totals = self._site.totals
        self._score_threshold = score_threshold
        self._clock = clock
        self._epoch = 0
        self._last: FrameInfo | None = None
        self._next_rules: Rules | None = None
        self._lives = PublishedTracks(producer.run_id, account.stream_id)
        self._envelopes = Envelopes(account.stream_id, producer, labels, clock)
        self._status = StatusMessages(self._envelopes, account, self.report)
        self._events = EventMessages(self._envelopes, refer, plane)
        self._made: list[AnyMessage] = []

    @property
    def refer(self) -> Refer | None:
        """The function that is asked for evidence of events; None: nobody."""
        return self._events.refer

    @refer.setter
    def refer(self, refer: Refer | None) -> None:
        self._events.refer = refer

    @property
    def lines(self) -> Sequence[LineTotals]:
        """The stream's lines and their totals, for drawing."""
        return self._site.lines

    @property
    def zones(self) -> Sequence[ZonePicture]:
        """The stream's zones as they are now, for drawing."""
        return self._site.zones

    def frame(
        self, info: FrameInfo, detections: Detections, seen: FrameFeatures | None = None
    ) -> tuple[list[AnyMessage], Tracks]:
        """Take the next frame's detections, and what else its pixels told -> its messages, in
        order, and the tracks to be drawn, whose `detection_index` is of these detections."""
        messages = self._made = list[AnyMessage]()
        if info.epoch != self._epoch:
            messages += self._gap(info.epoch)
        messages += self._happened(self._site.fit((info.width, info.height)))
        kept = self._site.keep(detections)
        found = detections if kept is None else _masked(detections, kept)
        rested_s = self._rested_s(info)
        tracks = self._track(info, found, _masked_seen(seen, kept), rested_s)
        places = self._plane.update(info, tracks, rested_s) if self._plane is not None else {}
        lives = self._lives.see(info, tracks)
        for life in self._lives.begun:
            self.report.tracks[self._labels[life.class_id]] += 1
        messages.append(self._frame_record(info, found, lives, places))
        self._last = info
        messages += self._happened(self._site.update(tracks, moment_of(info)), tracks)
        messages += self._ended(self._lives.take(tracks.ended.tolist()), "lost")
        self.report.last_frame_s = self._clock.monotonic_s()
        return messages, tracks if kept is None else _in_rows_of_all(tracks, kept)

    def up(self, change: StreamUp) -> list[AnyMessage]:
        """Note that the stream came up -> its messages."""
        return self._status.up(change)

    def down(self, change: StreamDown) -> list[AnyMessage]:
        """Note that the stream went down and will be tried again -> its messages. On request, all
        its frames are told by then, so its events end too: nobody knows when it will go on."""
        over = self._over("epoch") if change.cause in _ON_REQUEST else []
        return over + self._status.down(change)

    def health(self, change: StreamHealth) -> list[AnyMessage]:
        """Note that something is wrong with the stream's pictures, or no longer -> its messages."""
        return self._status.health(change)

    def heartbeat(self, interval_s: float) -> list[AnyMessage]:
        """Make the heartbeat with the account as of now; [] for a stream without heartbeats, and
        behind its end."""
        return self._status.heartbeat(interval_s) if self.beats else []

    def end(self, change: StreamEnded) -> list[AnyMessage]:
        """End the stream -> the ends of its events and its tracks, then the account."""
        self._made = []
        messages = self._made = self._over("end_of_stream")
        self._reset()
        return messages + self._status.end(change)

    def made(self) -> list[AnyMessage]:
        """The messages that a call of `frame` or `end` had made when it raised: they are counted,
        so they must be sent."""
        return self._made

    def break_off(self, change: StreamEnded) -> list[AnyMessage]:
        """End the stream where `end` has raised -> what that had made, and the account."""
        return self._made + self._status.end(change)

    def change_rules(self, rules: Rules) -> list[AnyMessage]:
        """Set other lines, zones and masks, from the next frame on -> the ends of events that are
        over by that."""
        return self._happened(self._site.change(rules))

    def go_on(self, rules: Rules, plane: PlaneStage | None, *, beats: bool) -> None:
        """Get ready for another epoch of the stream, with another configuration. Any thread, while
        no frame of it is on its way."""
        self.report.error, self.report.ended = None, False
        if self._site is _NOWHERE:
            self._site = Site(None, self._totals)
        self.beats = beats
        self._next_rules = rules
        self._plane = self._events.plane = plane

    def retire(self) -> None:
        """Keep the account, the report and the totals of the lines alone, for a stream whose end
        was told and which may never come again. As for `go_on`."""
        self._totals, self._site = self._site.totals, _NOWHERE
        self._made, self.refer = [], None
        self._plane = self._events.plane = None

    def snapshot(self) -> StreamReport:
        """The report as of now, a copy. Any thread."""
        return self.report.with_account(self.account)

    def _gap(self, epoch: int) -> list[AnyMessage]:
        """Begin a new epoch: nothing that was tracked before can be the same object."""
        messages = self._over("epoch")
        self._epoch = epoch
        if self._next_rules is not None:
            messages += self._happened(self._site.change(self._next_rules))
            self._next_rules = None
        self._reset()
        return messages

    def _reset(self) -> None:
        for stage in (self._tracker, self._plane):
            if stage is not None:
                stage.reset()

    def _over(self, cause: Literal["epoch", "end_of_stream"]) -> list[AnyMessage]:
        """End all events and tracks that are not over."""
        messages = self._happened(self._site.close(cause))
        return messages + self._ended(self._lives.take(), cause)

    def _rested_s(self, info: FrameInfo) -> float:
        """The seconds of rest since the frame before, of the same epoch."""
        last = self._last
        if last is None or last.epoch != info.epoch:
            return 0.0
        return max(info.rested_ns - last.rested_ns, 0) / 1e9

    def _track(
        self, info: FrameInfo, found: Detections, seen: FrameFeatures | None, rested_s: float
    ) -> Tracks:
        if self._tracker is None:
            return Tracks.empty()
        more: dict[str, Any] = {}
        if seen is not None:
            more = {"camera_motion": seen.camera_motion, "features": seen.features}
        if rested_s > 0:  # trackers of others need not know of it
            more["rested_s"] = rested_s
        time_s = info.pts_ns / 1e9
        return self._tracker.update(found.xyxy, found.score, found.class_id, time_s, **more)

    def _happened(
        self, happenings: Sequence[ZoneEvent], tracks: Tracks | None = None
    ) -> list[AnyMessage]:
        """The events of the last frame: of its tracks, or, with None, behind it."""
        if not happenings or self._last is None:
            return []
        told = self._events.tell(happenings, self._last, tracks, self._site.lines)
        for event in told:
            self.report.events[event.event] += 1
            if isinstance(event, LineCrossMessage):
                self.report.crossings[event.line, event.direction, event.label] += 1
        return [*told]

    def _frame_record(
        self,
        info: FrameInfo,
        found: Detections,
        lives: Mapping[int, PublishedTrack],
        places: Mapping[int, PlaneRow],
    ) -> FrameRecord:
        detections = rows(info, found, lives, self._labels, self._score_threshold, places)
        self.report.detections.update([row.label for row in detections])
        self._envelopes.told["frame"] += 1
        run_id, stream_id = self._envelopes.run_id, info.stream_id
        return FrameRecord(
            message_id=message_id(run_id, stream_id, info.epoch, info.seq, "frame"),
            stream_id=stream_id,
            epoch=info.epoch,
            seq=info.seq,
            published_at=utc_text(self._clock.utc_ns()),
            producer=self._envelopes.encoded_producer,
            pts_ns=info.pts_ns,
            captured_at=utc_text(info.captured_ns),
            captured_source=info.clock,
            captured_uncertainty_ms=info.uncertainty_ns / 1e6,
            arrived_at=utc_text(info.arrived_ns),
            width=info.width,
            height=info.height,
            dropped_since_last=self.account.publish(info.seq),
            detections=detections,
        )

    def _ended(self, lives: Sequence[PublishedTrack], cause: TrackEndCause) -> list[AnyMessage]:
        return [
            TrackEndMessage(
                **self._envelopes.envelope(
                    "track_end", self._epoch, life.last.seq, str(life.track_id)
                ),
                track_id=life.track_id,
                label=self._labels[life.class_id],
                class_id=life.class_id,
                first_seq=life.first.seq,
                last_seq=life.last.seq,
                captured_at=utc_datetime(life.last.captured_ns),
                track_uid=life.uid,
                first_captured_at=utc_datetime(life.first.captured_ns),
                frames=life.frames,
                age_ms=life.age_ms,
                cause=cause,
            )
            for life in lives
        ]


def _masked(found: Detections, kept: Bool) -> Detections:
    return Detections(found.xyxy[kept], found.score[kept], found.class_id[kept])


def _masked_seen(seen: FrameFeatures | None, kept: Bool | None) -> FrameFeatures | None:
    if seen is None or seen.features is None or kept is None:
        return seen
    return replace(seen, features=seen.features[kept])


def _in_rows_of_all(tracks: Tracks, kept: Bool) -> Tracks:
    """The tracks of the kept detections, with `detection_index` into all of them."""
    index = tracks.detection_index
    of_kept = np.append(np.flatnonzero(kept), -1)  # what is only predicted has row -1
    return replace(tracks, detection_index=of_kept[index])
