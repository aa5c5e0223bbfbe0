"""The same frames and the same detections twice: with a gate and without one."""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipeline.account import StreamAccount
from pipeline.build.streams import make_tracker
from pipeline.compose.composer import Composer
from pipeline.config import FileSourceConfig, MotionGateConfig, StreamConfig, TrackingConfig
from pipeline.core.arrays import F64
from pipeline.core.clock import SystemClock
from pipeline.core.detections import Detections
from pipeline.core.frame import Frame
from pipeline.core.frame_record import AnyMessage, FrameRecord
from pipeline.core.messages import LineCrossMessage, Model, Producer
from pipeline.stream.changes import StreamEnded
from pipeline.stream.intake import Intake
from stages.base import Source
from stages.sources.file import FileSource
from stages.zones import LineRule, Rules, ZoneRule
from stages.zones.rules import OccupancyRule, StayRule, Units

SCORE = 0.25
PRODUCER = Producer(
    instance="benchmark", version="0", run_id="gate",
    model=Model(name="any", sha256="0" * 64, precision="int8", engine="any"),
)  # fmt: skip
Line = tuple[tuple[float, float], tuple[float, float]]


@dataclass(slots=True)
class Outcome:
    """What one side told: per frame of the video the boxes (N, 4) and track ids (N,), 0 for none,
    of the newest message by then; whether the engine saw it, and whether the stream was at rest."""

    boxes: list[F64] = field(default_factory=list)
    tracks: list[F64] = field(default_factory=list)
    seen: list[bool] = field(default_factory=list)
    at_rest: list[bool] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    crossings: Counter[str] = field(default_factory=Counter)
    account: StreamAccount | None = None


class Side:
    """A stream from its intake to its messages, without threads."""

    def __init__(self, rules: Rules, labels: Sequence[str], gate: MotionGateConfig | None) -> None:
        config = StreamConfig(
            id="side", source=FileSourceConfig(kind="file", path=Path("x")), motion_gate=gate
        )
        account = StreamAccount("side")
        self.outcome = Outcome(account=account)
        self._intake = Intake(
            config,
            account,
            threading.Condition(),
            threading.Event(),
            lambda *_: None,
            SystemClock(),
        )
        self._composer = Composer(
            account, PRODUCER, labels, make_tracker(TrackingConfig()), rules, SCORE, SystemClock()
        )
        self._told: tuple[F64, F64] = np.empty((0, 4)), np.empty(0)

    def take(self, source: Source, frame: Frame, found: Detections) -> None:
        """The next frame of the video."""
        self._intake.count(source, frame.info)
        self._intake.take(frame)
        passed = next(iter(self._intake.lane.take(1, 0)), None)
        if passed is not None:
            self._hear(self._composer.frame(passed.info, found)[0])
        outcome, rest = self.outcome, self._intake.account.rest
        outcome.boxes.append(self._told[0])
        outcome.tracks.append(self._told[1])
        outcome.seen.append(passed is not None)
        outcome.at_rest.append(rest is not None and rest.at_rest)

    def end(self) -> Outcome:
        """The video is over."""
        self._hear(self._composer.end(StreamEnded("side", 0, None)))
        return self.outcome

    def _hear(self, messages: Sequence[AnyMessage]) -> None:
        for message in messages:
            if isinstance(message, FrameRecord):
                rows = message.detections
                boxes = np.array([row.box for row in rows], np.float64).reshape(-1, 4)
                self._told = boxes, np.array([row.track_id or 0 for row in rows], np.float64)
            elif isinstance(message, LineCrossMessage):
                self.outcome.crossings[f"{message.label} {message.direction}"] += 1
            elif message.kind == "event":
                self.outcome.events[f"{message.event} {message.phase}"] += 1


def rules_for(line: Line | None) -> Rules:
    """A line across the ways, and the lower half of the picture as a zone that counts."""
    points = line or ((0.5, 0.0), (0.5, 1.0))
    units: Units = "px" if line else "normalised"
    zone = ZoneRule(
        "below", ((0, 0.5), (1, 0.5), (1, 1), (0, 1)), "normalised",
        dwell=StayRule(1_000_000_000), occupancy=OccupancyRule(1_000_000_000),
    )  # fmt: skip
    return Rules(lines=(LineRule("line", points, units),), zones=(zone,))


def play(
    path: Path,
    found: Sequence[Detections],
    labels: Sequence[str],
    line: Line | None,
    gates: Sequence[MotionGateConfig],
) -> list[Outcome]:
    """The whole video, in whose frames that was `found`: always on, then with each gate."""
    sides = [Side(rules_for(line), labels, gate) for gate in (None, *gates)]
    source = FileSource("side", path)
    for number, frame in enumerate(source.frames()):
        for side in sides:
            side.take(source, frame, found[number])
    return [side.end() for side in sides]
