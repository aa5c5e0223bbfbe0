"""The decoded frames of one stream on their way into its lane: counted, looked at, left out."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.account import StreamAccount
from pipeline.config import StreamConfig
from pipeline.core.clock import Clock
from pipeline.core.frame import Frame, FrameInfo
from pipeline.core.messages import DropReason
from pipeline.load.gate import Gate, Thinning
from pipeline.stream.lane import Lane
from stages.base import Counts, Decoder, Rest, Source

if TYPE_CHECKING:
    from stages.evidence.ring import PacketRing
    from stages.motion_gate import MotionGate

Say = Callable[[int, str, str], None]
"""A logger of (level, kind, text) that says each kind not too often."""


class Intake:
    """The way of one stream's frames from the decoder into its lane: counted, looked at, left out.

    A frame is left out where the stream is at rest (`motion_gate` of its configuration), and where
    the engine does not keep up (`gate`); the others wait in `lane`. Every frame is counted in
    `account`. One thread at a time begins connections and takes frames; drops may come from others.
    """

    def __init__(
        self,
        config: StreamConfig,
        account: StreamAccount,
        condition: threading.Condition,
        stopping: threading.Event,
        say: Say,
        clock: Clock,
        ring: "PacketRing | None" = None,
    ) -> None:
        self.account = account
        self.gate = Gate(config.id, config.priority, config.min_fps) if config.gives_way else None
        self.lane = Lane(
            config.queue_frames,
            config.full_queue,
            longest_age_s=config.longest_age_s,
            by_target=config.max_age_ms is None,
            on_drop=self._drop,
            on_late=self._drop_late,
            condition=condition,
            clock=clock,
        )
        self._stream_id, self._most = config.id, config.max_frames
        self._stopping, self._say, self._ring = stopping, say, ring
        self._motion = _motion_gate(config, account)
        self.kept = 0
        """The number of frames taken in, with those left out at rest or for load."""
        self._damaged = self._skipped = self._thinned = 0
        self._thins: bool | None = None
        """Whether the source leaves out by itself what the gate does not let through; None: it was
        not asked yet."""
        self._first_seq = 0
        self._times_before, self._undecoded_before = account.times, account.undecoded

    def begin(self) -> int:
        """Begin a connection -> `seq` of its first frame."""
        self._damaged = self._skipped = self._thinned = 0
        self._thins = None
        self._times_before = self.account.times
        self._undecoded_before = self.account.undecoded
        self._first_seq = self.account.next_seq
        return self._first_seq

    def end(self, counts: Counts) -> None:
        """End the connection, whose source has these counts."""
        self._count_left_out(self._first_seq + counts.decoded_total, counts)
        self.account.times = counts.times.after(self._times_before)

    def count(self, source: Source, info: FrameInfo) -> None:
        """Count a frame that has come out of the decoder, and those left out before it."""
        if self._thins is None:
            self._thins = self._let_thin(source)
        self._count_left_out(info.seq, source.counts)
        self.account.times = source.counts.times.after(self._times_before)
        self.account.decode()
        if self._ring is not None:
            self._ring.frame(info)
        self._note_decoder(source.counts.decoder)

    def take(self, frame: Frame) -> None:
        """Put a frame into the lane, unless it is left out. Blocks while the lane of a file is
        full. The last one of `max_frames` sets `stopping`."""
        admitted = self._look(frame)
        if admitted is None:
            self.account.drop(frame.info.seq, "at_rest")
        elif self.gate is None or self._thins or self.gate.admit():
            self.lane.put(admitted)
        else:
            self._leave_out(frame, "load")
        self.kept += 1
        if self.kept == self._most:
            self._stopping.set()

    def _let_thin(self, source: Source) -> bool:
        """Have the source leave out what the gate does not let through, if it can: they are counted
        with the next frame that comes. A motion gate must see all frames first, and `max_frames`
        counts those left out."""
        if self.gate is None or self._motion is not None or self._most is not None:
            return False
        if not isinstance(source, Thinning):
            return False
        source.thin_by(self.gate)
        return True

    def _look(self, frame: Frame) -> Frame | None:
        """Ask the motion gate -> the frame as it goes on; None: the stream is at rest."""
        motion, info = self._motion, frame.info
        if motion is None:
            return frame
        if not motion.admit(frame.picture, info.epoch, info.pts_ns, info.captured_ns):
            return None
        if not motion.rested_ns:
            return frame
        return replace(frame, info=replace(info, rested_ns=motion.rested_ns))

    def _count_left_out(self, seq: int, counts: Counts) -> None:
        """Count the frames before `seq` that the source left out: damaged, above the frame rate, or
        not given any more when it was stopped."""
        self.account.chaos = counts.chaos
        self.account.undecoded = self._undecoded_before + counts.undecoded_total
        while self.account.next_seq < seq:
            reason: DropReason = "stopped" if self._stopping.is_set() else "target_fps"
            if self._damaged < counts.withheld_total:
                self._damaged, reason = self._damaged + 1, "corrupt"
            elif self._skipped < counts.skipped_total:
                self._skipped, reason = self._skipped + 1, "target_fps"
            elif self._thinned < counts.thinned_total:
                self._thinned, reason = self._thinned + 1, "load"
            self.account.drop(self.account.decode(), reason)

    def _note_decoder(self, decoder: Decoder | None) -> None:
        if decoder is not self.account.decoder:
            self.account.decoder = decoder
            if decoder is not None and decoder.asked != "none":
                level = logging.WARNING if decoder.why else logging.INFO
                self._say(level, f"{decoder}", f"stream {self._stream_id!r}: decoded by {decoder}")

    def _drop(self, frame: Frame) -> None:
        closing = self._stopping.is_set() or self.lane.closed
        if self.gate is not None and not closing:
            self.gate.lost += 1
        self._leave_out(frame, "stopped" if closing else "overflow")

    def _drop_late(self, frame: Frame) -> None:
        if self.gate is not None:
            self.gate.lost += 1
            self.gate.late += 1
        self._leave_out(frame, "late")

    def _leave_out(self, frame: Frame, reason: DropReason) -> None:
        """Drop a frame that the engine was to see. At rest, the motion gate lets the next one
        through instead."""
        if self._motion is not None:
            self._motion.owe()
        self.account.drop(frame.info.seq, reason)


def _motion_gate(config: StreamConfig, account: StreamAccount) -> "MotionGate | None":
    """The configured motion gate, which goes on with the account's counts; None: there is none."""
    given = config.motion_gate
    if given is None or not given.enabled:
        if account.rest is not None:
            account.rest.at_rest = False
        return None
    from stages.motion_gate import GateSettings, MotionGate

    account.rest = account.rest or Rest()
    return MotionGate(GateSettings(**given.settings), account.rest)
