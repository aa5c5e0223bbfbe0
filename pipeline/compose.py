"""What is told of a stream: detections to tracks, crossings and messages. No thread in here."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, TypedDict

from pipeline.core.clock import Clock, utc_datetime, utc_text
from pipeline.core.detections import Detections
from pipeline.core.frame import FrameInfo
from pipeline.core.frame_record import FrameRecord, Told, encode_producer
from pipeline.core.messages import (
    EndOfStreamMessage,
    Heartbeat,
    Kind,
    LineCrossMessage,
    Liveness,
    Producer,
    StreamStatusMessage,
    TrackEndCause,
    TrackEndMessage,
    message_id,
    track_uid,
)
from pipeline.core.tracks import Tracks
from pipeline.lives import Life, Lives, rows
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


class Composer:
    """Turns the results of one stream, in order, into its messages.

    Detections below `score_threshold` are told only where they continue a confirmed track.
    """

    beats: bool
    """Whether the stream has heartbeats. Repeated runs over what ends by itself give the same
    messages, so that has none."""

    def __init__(
        self,
        account: StreamAccount,
        producer: Producer,
        labels: Sequence[str],
        tracker: Tracker | None,
        lines: Sequence[LineCounter],
        score_threshold: float,
        clock: Clock,
        *,
        beats: bool = False,
    ) -> None:
        self.account = account
        self.report = StreamReport(account.stream_id, started_s=clock.monotonic_s())
        self.lines = lines
        self.beats = beats
        self._producer = producer
        self._encoded_producer = encode_producer(producer)
        self._labels = labels
        self._tracker = tracker
        self._score_threshold = score_threshold
        self._clock = clock
        self._epoch = 0
        self._lives = Lives(producer.run_id, account.stream_id)
        self._told: Counter[Kind] = Counter()
        self._state: Liveness = "starting"
        self._state_epoch = 0
        self._heartbeats = 0

    def frame(self, info: FrameInfo, detections: Detections) -> tuple[list[Told], Tracks]:
        """The next frame's result -> its messages, in order, and the tracks to be drawn."""
        messages: list[Told] = []
        if info.epoch != self._epoch:
            messages += self._gap(info.epoch)
        tracks = self._track(info, detections)
        seen = self._lives.see(info, tracks)
        for life in self._lives.begun:
            self.report.tracks[self._labels[life.class_id]] += 1
        messages.append(self._frame_record(info, detections, seen))
        for line in self.lines:
            messages += [self._event(info, line, c) for c in line.update(tracks, info.captured_ns)]
        messages += self._ended(self._lives.take(tracks.ended.tolist()), "lost")
        self.report.last_frame_s = self._clock.monotonic_s()
        return messages, tracks

    def up(self, change: StreamUp) -> list[Told]:
        """The stream has come up."""
        self.report.frames_expected = change.frame_count
        decoder = change.decoder
        by = f" by {decoder}" if decoder and decoder.asked != "none" else ""
        reason = f"first frame decoded{by}" + "; chaos is on" * change.chaos
        return [self._status("up", reason, change)]

    def down(self, change: StreamDown) -> list[Told]:
        """The stream has gone down, and will be tried again."""
        return [self._status("down", change.reason, change)]

    def health(self, change: StreamHealth) -> list[Told]:
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

    def heartbeat(self, interval_s: float) -> list[Told]:
        """Nothing need have changed: the account as of now. None for a stream without heartbeats,
        and behind its end."""
        if not self.beats or self.report.ended:
            return []
        self._heartbeats += 1
        decoded, published, dropped = self.account.totals()
        sub = f"heartbeat:{self._heartbeats}"
        envelope = self._envelope("stream_status", self._state_epoch, decoded - 1, sub)
        beat = Heartbeat(
            number=self._heartbeats,
            interval_s=interval_s,
            state=self._state,
            conditions=sorted(self.report.impaired),
            decoded=decoded,
            published=published,
            dropped=dropped,
            waiting=decoded - published - sum(dropped.values()),
            messages=dict(self._told),
        )
        return [
            StreamStatusMessage(
                **envelope, status="heartbeat", reason=self._state, attempt=0, heartbeat=beat
            )
        ]

    def end(self, change: StreamEnded) -> list[Told]:
        """The stream is over: ends of its tracks, then the account."""
        messages = self._ended(self._lives.take(), "end_of_stream")
        self.report.error, self.report.ended = change.error, True
        decoded, published, dropped = self.account.totals()
        messages.append(
            EndOfStreamMessage(
                **self._envelope("end_of_stream", change.epoch, decoded - 1),
                decoded=decoded,
                published=published,
                dropped=dropped,
                error=change.error,
                messages=dict(self._told),
                detections=dict(self.report.detections),
                tracks=dict(self.report.tracks),
            )
        )
        return messages

    def snapshot(self) -> StreamReport:
        """The report as of now."""
        report = self.report
        report.decoded, report.published, report.dropped = self.account.totals()
        report.connections, report.times = self.account.connections, self.account.times
        report.chaos = self.account.chaos
        report.undecoded, report.decoder = self.account.undecoded, self.account.decoder
        return report

    def _gap(self, epoch: int) -> list[Told]:
        """A new epoch: nothing that was tracked before can be the same object."""
        messages = self._ended(self._lives.take(), "epoch")
        self._epoch = epoch
        if self._tracker is not None:
            self._tracker.reset()
        for line in self.lines:
            line.reset()
        return messages

    def _track(self, info: FrameInfo, found: Detections) -> Tracks:
        if self._tracker is None:
            return Tracks.empty()
        return self._tracker.update(found.xyxy, found.score, found.class_id, info.pts_ns / 1e9)

    def _frame_record(
        self, info: FrameInfo, found: Detections, seen: Mapping[int, Life]
    ) -> FrameRecord:
        detections = rows(info, found, seen, self._labels, self._score_threshold)
        self.report.detections.update([row.label for row in detections])
        self._told["frame"] += 1
        run_id, stream_id = self._producer.run_id, info.stream_id
        return FrameRecord(
            message_id=message_id(run_id, stream_id, info.epoch, info.seq, "frame"),
            stream_id=stream_id,
            epoch=info.epoch,
            seq=info.seq,
            published_at=utc_text(self._clock.utc_ns()),
            producer=self._encoded_producer,
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

    def _event(self, info: FrameInfo, line: LineCounter, crossing: Crossing) -> Told:
        label = self._labels[crossing.class_id]
        self.report.crossings[crossing.line.name, crossing.direction, label] += 1
        name = crossing.line.name
        sub = f"line_cross:{name}:{crossing.track_id}:{crossing.crossed_ns}"
        return LineCrossMessage(
            **self._envelope("event", info.epoch, info.seq, sub),
            event_id=message_id(self._producer.run_id, info.stream_id, info.epoch, 0, "event", sub),
            line=name,
            direction=crossing.direction,
            track_id=crossing.track_id,
            track_uid=track_uid(self._producer.run_id, info.stream_id, crossing.track_id),
            label=label,
            class_id=crossing.class_id,
            point=crossing.point,
            crossed_at=utc_datetime(crossing.crossed_ns),
            counts=line.counts,
        )

    def _ended(self, lives: Sequence[Life], cause: TrackEndCause) -> list[Told]:
        return [
            TrackEndMessage(
                **self._envelope("track_end", self._epoch, life.last.seq, str(life.track_id)),
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

    def _status(
        self, status: Literal["up", "down"], reason: str, change: StreamUp | StreamDown
    ) -> StreamStatusMessage:
        paused = isinstance(change, StreamDown) and change.cause == "paused"
        self._state, self._state_epoch = "paused" if paused else status, change.epoch
        sub = f"{status}:{change.attempt}"
        return StreamStatusMessage(
            **self._envelope("stream_status", change.epoch, change.seq, sub),
            status=status,
            reason=reason,
            attempt=change.attempt,
            cause=change.cause if isinstance(change, StreamDown) else None,
        )

    def _envelope(self, kind: Kind, epoch: int, seq: int, sub: str = "") -> _Envelope:
        self._told[kind] += 1
        stream_id, run_id = self.account.stream_id, self._producer.run_id
        return {
            "message_id": message_id(run_id, stream_id, epoch, seq, kind, sub),
            "stream_id": stream_id,
            "epoch": epoch,
            "seq": seq,
            "published_at": utc_datetime(self._clock.utc_ns()),
            "producer": self._producer,
        }
