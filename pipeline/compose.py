"""What is told of a stream: detections to tracks, crossings and messages. No thread in here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypedDict

import numpy as np

from pipeline.core.clock import Clock, utc_datetime
from pipeline.core.detections import Detections
from pipeline.core.frame import FrameInfo
from pipeline.core.messages import (
    Detection,
    EndOfStreamMessage,
    EventMessage,
    FrameMessage,
    Message,
    Producer,
    StreamStatusMessage,
    TrackEndMessage,
    message_id,
)
from pipeline.core.tracks import Tracks
from pipeline.stream import StreamDown, StreamEnded, StreamHealth, StreamUp
from pipeline.telemetry import StreamAccount, StreamReport
from stages.base import Tracker
from stages.zones.line import Crossing, LineCounter


class _Envelope(TypedDict):
    message_id: str
    stream_id: str
    epoch: int
    seq: int
    published_at: datetime
    producer: Producer


@dataclass(slots=True)
class _Life:
    """A reported track: what its end message needs."""

    class_id: int
    first_seq: int
    last_seq: int
    captured_ns: int


class Composer:
    """Turns the results of one stream, in order, into its messages.

    Detections below `score_threshold` are told only where they continue a confirmed track.
    """

    def __init__(
        self,
        account: StreamAccount,
        producer: Producer,
        labels: Sequence[str],
        tracker: Tracker | None,
        lines: Sequence[LineCounter],
        score_threshold: float,
        clock: Clock,
    ) -> None:
        self.account = account
        self.report = StreamReport(account.stream_id, started_s=clock.monotonic_s())
        self.lines = lines
        self._producer = producer
        self._labels = labels
        self._tracker = tracker
        self._score_threshold = score_threshold
        self._clock = clock
        self._epoch = 0
        self._lives: dict[int, _Life] = {}

    def frame(self, info: FrameInfo, detections: Detections) -> tuple[list[Message], Tracks]:
        """The next frame's result -> its messages, in order, and the tracks to be drawn."""
        messages: list[Message] = []
        if info.epoch != self._epoch:
            messages += self._gap(info.epoch)
        tracks = self._track(info, detections)
        messages.append(self._frame_message(info, detections, tracks))
        for line in self.lines:
            messages += [self._event(info, line, c) for c in line.update(tracks, info.captured_ns)]
        messages += self._ended(tracks.ended.tolist())
        self.report.last_frame_s = self._clock.monotonic_s()
        return messages, tracks

    def up(self, change: StreamUp) -> list[Message]:
        """The stream has come up."""
        self.report.frames_expected = change.frame_count
        reason = "first frame decoded" + "; chaos is on" * change.chaos
        return [self._status("up", reason, change)]

    def down(self, change: StreamDown) -> list[Message]:
        """The stream has gone down, and will be tried again."""
        return [self._status("down", change.reason, change)]

    def health(self, change: StreamHealth) -> list[Message]:
        """Something is wrong with the stream's pictures, or no longer."""
        found = change.change
        kind = found.condition
        if found.active:
            self.report.impairments[kind] += 1
            self.report.impaired.add(kind)
        else:
            self.report.impaired.discard(kind)
        status: Literal["impaired", "cleared"] = "impaired" if found.active else "cleared"
        sub = f"{status}:{kind}:{found.start}"
        return [
            StreamStatusMessage(
                **self._envelope("stream_status", change.epoch, change.seq, sub),
                status=status,
                reason=found.reason,
                attempt=0,
                condition=kind,
                metrics=found.metrics,
            )
        ]

    def end(self, change: StreamEnded) -> list[Message]:
        """The stream is over: ends of its tracks, then the account."""
        messages = self._ended(list(self._lives))
        self.report.error, self.report.ended = change.error, True
        decoded, published, dropped = self.account.totals()
        messages.append(
            EndOfStreamMessage(
                **self._envelope("end_of_stream", change.epoch, decoded - 1),
                decoded=decoded,
                published=published,
                dropped=dropped,
                error=change.error,
            )
        )
        return messages

    def snapshot(self) -> StreamReport:
        """The report as of now."""
        report = self.report
        report.decoded, report.published, report.dropped = self.account.totals()
        report.connections, report.times = self.account.connections, self.account.times
        report.chaos = self.account.chaos
        report.undecoded = self.account.undecoded
        return report

    def _gap(self, epoch: int) -> list[Message]:
        """A new epoch: nothing that was tracked before can be the same object."""
        messages = self._ended(list(self._lives))
        self._epoch = epoch
        if self._tracker is not None:
            self._tracker.reset()
        for line in self.lines:
            line.reset()
        return messages

    def _track(self, info: FrameInfo, found: Detections) -> Tracks:
        if self._tracker is None:
            return Tracks.empty()
        tracks = self._tracker.update(found.xyxy, found.score, found.class_id, info.pts_ns / 1e9)
        rows = zip(tracks.track_id.tolist(), tracks.class_id.tolist(), strict=True)
        for track_id, class_id in rows:
            life = self._lives.get(track_id)
            if life is None:
                life = self._lives[track_id] = _Life(class_id, info.seq, info.seq, 0)
                self.report.tracks[self._labels[class_id]] += 1
            life.class_id, life.last_seq = class_id, info.seq
            life.captured_ns = info.captured_ns
        return tracks

    def _frame_message(self, info: FrameInfo, found: Detections, tracks: Tracks) -> FrameMessage:
        return FrameMessage(
            **self._envelope("frame", info.epoch, info.seq),
            pts_ns=info.pts_ns,
            captured_at=utc_datetime(info.captured_ns),
            captured_source=info.clock,
            captured_uncertainty_ms=info.uncertainty_ns / 1e6,
            arrived_at=utc_datetime(info.arrived_ns),
            width=info.width,
            height=info.height,
            dropped_since_last=self.account.publish(info.seq),
            detections=self._detections(found, tracks),
        )

    def _detections(self, found: Detections, tracks: Tracks) -> list[Detection]:
        track_of = np.zeros(len(found), np.int64)
        matched = tracks.detection_index >= 0
        track_of[tracks.detection_index[matched]] = tracks.track_id[matched]
        told = np.flatnonzero((found.score >= self._score_threshold) | (track_of > 0))
        columns = (found.class_id, np.clip(found.score, 0, 1), found.xyxy.round(2), track_of)
        rows = zip(*(column[told].tolist() for column in columns), strict=True)
        detections = [
            Detection(
                label=self._labels[class_id],
                class_id=class_id,
                score=round(score, 4),
                box=(box[0], box[1], box[2], box[3]),
                track_id=track_id or None,
            )
            for class_id, score, box, track_id in rows
        ]
        self.report.detections.update(detection.label for detection in detections)
        return detections

    def _event(self, info: FrameInfo, line: LineCounter, crossing: Crossing) -> EventMessage:
        label = self._labels[crossing.class_id]
        self.report.crossings[crossing.line.name, crossing.direction, label] += 1
        name = crossing.line.name
        sub = f"line_cross:{name}:{crossing.track_id}:{crossing.crossed_ns}"
        return EventMessage(
            **self._envelope("event", info.epoch, info.seq, sub),
            event_id=message_id(self._producer.run_id, info.stream_id, info.epoch, 0, "event", sub),
            line=name,
            direction=crossing.direction,
            track_id=crossing.track_id,
            label=label,
            class_id=crossing.class_id,
            point=crossing.point,
            crossed_at=utc_datetime(crossing.crossed_ns),
            counts=line.counts,
        )

    def _ended(self, track_ids: Sequence[int]) -> list[Message]:
        messages: list[Message] = []
        for track_id in track_ids:
            life = self._lives.pop(track_id, None)
            if life is None:  # was never confirmed, so never told
                continue
            messages.append(
                TrackEndMessage(
                    **self._envelope("track_end", self._epoch, life.last_seq, str(track_id)),
                    track_id=track_id,
                    label=self._labels[life.class_id],
                    class_id=life.class_id,
                    first_seq=life.first_seq,
                    last_seq=life.last_seq,
                    captured_at=utc_datetime(life.captured_ns),
                )
            )
        return messages

    def _status(
        self, status: Literal["up", "down"], reason: str, change: StreamUp | StreamDown
    ) -> StreamStatusMessage:
        sub = f"{status}:{change.attempt}"
        return StreamStatusMessage(
            **self._envelope("stream_status", change.epoch, change.seq, sub),
            status=status,
            reason=reason,
            attempt=change.attempt,
            cause=change.cause if isinstance(change, StreamDown) else None,
        )

    def _envelope(self, kind: str, epoch: int, seq: int, sub: str = "") -> _Envelope:
        stream_id, run_id = self.account.stream_id, self._producer.run_id
        return {
            "message_id": message_id(run_id, stream_id, epoch, seq, kind, sub),
            "stream_id": stream_id,
            "epoch": epoch,
            "seq": seq,
            "published_at": utc_datetime(self._clock.utc_ns()),
            "producer": self._producer,
        }
