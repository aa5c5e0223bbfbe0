"""The status messages of one stream: up, down, health, heartbeats, its end."""

from typing import Literal

from pipeline.account import StreamAccount, StreamReport
from pipeline.compose.envelope import Envelopes
from pipeline.core.frame_record import AnyMessage
from pipeline.core.messages import (
    EndOfStreamMessage,
    Heartbeat,
    Liveness,
    StreamStatusMessage,
)
from pipeline.stream.changes import StreamDown, StreamEnded, StreamHealth, StreamUp


class StatusMessages:
    """The maker of one stream's status messages, which also keeps their part of its report."""

    def __init__(self, envelopes: Envelopes, account: StreamAccount, report: StreamReport) -> None:
        self._envelopes, self._account, self._report = envelopes, account, report
        self._state: Liveness = "starting"
        self._state_epoch = 0
        self._heartbeats = 0

    def up(self, change: StreamUp) -> list[AnyMessage]:
        """The message that the stream came up."""
        self._report.frames_expected = change.frame_count
        decoder = change.decoder
        by = f" by {decoder}" if decoder and decoder.asked != "none" else ""
        reason = f"first frame decoded{by}" + "; chaos is on" * change.chaos
        return [self._status("up", reason, change)]

    def down(self, change: StreamDown) -> list[AnyMessage]:
        """The message that the stream went down, and will be tried again."""
        return [self._status("down", change.reason, change)]

    def health(self, change: StreamHealth) -> list[AnyMessage]:
        """The message that something is wrong with the stream's pictures, or no longer."""
        found = change.change
        kind = found.condition
        if found.active:
            self._report.impairments[kind] += 1
            self._report.impaired.add(kind)
        else:
            self._report.impaired.discard(kind)
        status: Literal["impaired", "cleared"] = "impaired" if found.active else "cleared"
        sub = f"{status}:{kind}:{found.start}"
        return [
            StreamStatusMessage(
                **self._envelopes.envelope("stream_status", change.epoch, change.seq, sub),
                status=status,
                reason=found.reason,
                attempt=0,
                condition=kind,
                metrics=found.metrics,
            )
        ]

    def heartbeat(self, interval_s: float) -> list[AnyMessage]:
        """The heartbeat with the account as of now; [] behind the stream's end."""
        if self._report.ended:
            return []
        self._heartbeats += 1
        decoded, published, dropped = self._account.totals()
        sub = f"heartbeat:{self._heartbeats}"
        envelope = self._envelopes.envelope("stream_status", self._state_epoch, decoded - 1, sub)
        beat = Heartbeat(
            number=self._heartbeats,
            interval_s=interval_s,
            state=self._state,
            conditions=sorted(self._report.impaired),
            decoded=decoded,
            published=published,
            dropped=dropped,
            waiting=decoded - published - sum(dropped.values()),
            messages=dict(self._envelopes.told),
        )
        return [
            StreamStatusMessage(
                **envelope, status="heartbeat", reason=self._state, attempt=0, heartbeat=beat
            )
        ]

    def end(self, change: StreamEnded) -> list[AnyMessage]:
        """The end of the stream, with its account."""
        self._report.error, self._report.ended = change.error, True
        decoded, published, dropped = self._account.totals()
        return [
            EndOfStreamMessage(
                **self._envelopes.envelope("end_of_stream", change.epoch, decoded - 1),
                decoded=decoded,
                published=published,
                dropped=dropped,
                error=change.error,
                messages=dict(self._envelopes.told),
                detections=dict(self._report.detections),
                tracks=dict(self._report.tracks),
            )
        ]

    def _status(
        self, status: Literal["up", "down"], reason: str, change: StreamUp | StreamDown
    ) -> StreamStatusMessage:
        paused = isinstance(change, StreamDown) and change.cause == "paused"
        self._state, self._state_epoch = "paused" if paused else status, change.epoch
        sub = f"{status}:{change.attempt}"
        return StreamStatusMessage(
            **self._envelopes.envelope("stream_status", change.epoch, change.seq, sub),
            status=status,
            reason=reason,
            attempt=change.attempt,
            cause=change.cause if isinstance(change, StreamDown) else None,
        )
