"""The section of one stream: source, lines and zones, health, and how it gives way under load."""

from typing import Annotated, Final, Literal, Self

from pydantic import (
    Field,
    model_validator,
)

from pipeline.channel import WhenFull
from pipeline.config.evidence import Privacy, StreamEvidenceConfig
from pipeline.config.looking import CameraMotionChoice
from pipeline.config.motion_gate import MotionGateConfig
from pipeline.config.plane import PlaneConfig
from pipeline.config.rules import LineConfig, MaskConfig, ZoneConfig
from pipeline.config.sources import (
    FileSourceConfig,
    HttpSourceConfig,
    ImagesSourceConfig,
    ReconnectedConfig,
    RtspSourceConfig,
    SourceConfig,
    StdinSourceConfig,
    StreetSourceConfig,
    WatchSourceConfig,
    WebcamSourceConfig,
)
from pipeline.config.values import (
    Fps,
    Fraction,
    Identifier,
    Number,
    Seconds,
    Section,
    Whole,
    require_distinct,
)
from pipeline.core.messages import Condition
from stages.base import Decode, Hwaccel

LONGEST_AGE_MS: Final = 1000.0
"""The default of `max_age_ms`: a live frame that waits longer for the engine shows the past."""


class HealthConfig(Section):
    """The conditions that are watched for in a stream's pictures; see `stages.health`. `enabled`
    None: in live streams only."""

    enabled: bool | None = None
    conditions: Annotated[tuple[Condition, ...], Field(min_length=1)] | None = None
    every_s: Annotated[Number, Field(ge=0.1, le=10)] = 0.5
    start_s: Seconds = 10
    end_s: Seconds = 5
    expected_fps: Fps | None = None
    low_fps_share: Annotated[Number, Field(gt=0, le=1)] = 0.5
    clock_offset_alarm_s: Seconds = 2


class ChaosConfig(Section):
    """Faults made on purpose, for tests of a deployment; see `stages.sources.chaos`."""

    seed: Annotated[Whole, Field(ge=0)] = 0
    loss: Fraction = 0.0
    corruption: Fraction = 0.0
    bad_pts: Fraction = 0.0
    stalls_per_min: Annotated[Number, Field(ge=0, le=600)] = 0.0
    stall_s: Seconds = 5
    disconnects_per_min: Annotated[Number, Field(ge=0, le=600)] = 0.0
    storm: Annotated[Whole, Field(ge=0, le=1000)] = 0

    @model_validator(mode="after")
    def _check_storm_has_disconnects(self) -> Self:
        if self.storm and not self.disconnects_per_min:
            raise ValueError("storm has no use without disconnects_per_min")
        return self


class StreamConfig(Section):
    """One stream. `when_full` is for its lane: by default live streams drop the oldest frame and
    files wait. `corrupt: pass` hands damaged pictures on as if they were whole.
    `hwaccel` and `privacy` None: as the top level says, as for the keys that `evidence` leaves out.
    `camera_motion` None: as `tracking` says. `motion_gate`: as for `evidence`.
    `priority`, `min_fps` and `max_age_ms` are for streams that give way, see `docs/load.md`.
    `max_age_ms` None: `LONGEST_AGE_MS`, or what `batch.latency_target_ms` leaves, if less."""

    id: Identifier
    source: SourceConfig
    fps: Fps | None = None
    max_frames: Annotated[Whole, Field(ge=1)] | None = None
    queue_frames: Annotated[Whole, Field(ge=1, le=1000)] = 4
    when_full: WhenFull | None = None
    decode: Decode = "all"
    hwaccel: Hwaccel | None = None
    priority: Annotated[Whole, Field(ge=0, le=9)] = 5
    min_fps: Fps = 1.0
    max_age_ms: Annotated[Number, Field(ge=10, le=3_600_000)] | None = None
    corrupt: Literal["drop", "pass"] = "drop"
    health: HealthConfig = HealthConfig()
    chaos: ChaosConfig | None = None
    lines: tuple[LineConfig, ...] = ()
    zones: tuple[ZoneConfig, ...] = ()
    masks: tuple[MaskConfig, ...] = ()
    evidence: StreamEvidenceConfig | None = None
    privacy: Privacy | None = None
    plane: PlaneConfig | None = None
    camera_motion: CameraMotionChoice | None = None
    motion_gate: MotionGateConfig | None = None

    @property
    def reconnects(self) -> ReconnectedConfig | None:
        """The source if its connections are watched and made anew; else None."""
        return self.source if isinstance(self.source, ReconnectedConfig) else None

    @property
    def live(self) -> bool:
        """True if real time passes in this stream whether or not it is read: a camera."""
        source = self.source
        if isinstance(source, HttpSourceConfig | StdinSourceConfig):
            return source.live
        return isinstance(source, RtspSourceConfig | WebcamSourceConfig) or (
            isinstance(source, FileSourceConfig) and source.realtime
        )

    @property
    def endless(self) -> bool:
        """True if the stream may never end, and never comes the same again."""
        return self.live or isinstance(self.source, WatchSourceConfig | StdinSourceConfig)

    @property
    def watched(self) -> bool:
        """True if the health of the stream's pictures is watched."""
        return self.live if self.health.enabled is None else self.health.enabled

    @property
    def full_queue(self) -> WhenFull:
        """What the stream's lane does when it is full."""
        return self.when_full or ("drop_oldest" if self.live else "block")

    @property
    def gives_way(self) -> bool:
        """True if the stream's frames are left out when the engine does not keep up."""
        return self.live and self.full_queue != "block"

    @property
    def longest_age_s(self) -> float | None:
        """The longest time in s that a frame may wait for the engine; None: no limit."""
        return (self.max_age_ms or LONGEST_AGE_MS) / 1000 if self.gives_way else None

    @model_validator(mode="after")
    def _check_load_keys(self) -> Self:
        fields = type(self).model_fields
        keys = ("priority", "min_fps", "max_age_ms")
        given = [key for key in keys if getattr(self, key) != fields[key].default]
        if given and not self.gives_way:
            raise ValueError(
                f"{given[0]} is for live streams with when_full drop_oldest or drop_newest: "
                "no other stream leaves out frames when the engine does not keep up"
            )
        if self.fps is not None and self.min_fps > max(self.fps, fields["min_fps"].default):
            raise ValueError(f"min_fps {self.min_fps:g} is more than fps {self.fps:g}")
        return self

    @property
    def decodes(self) -> bool:
        """True if a video decoder makes the stream's pictures."""
        return not isinstance(self.source, ImagesSourceConfig | StreetSourceConfig)

    @model_validator(mode="after")
    def _check_decoder_keys(self) -> Self:
        for key, is_set in (("decode", self.decode != "all"), ("hwaccel", bool(self.hwaccel))):
            if is_set and not self.decodes:
                raise ValueError(f"{key} is not for a source of kind {self.source.kind}")
        return self

    @model_validator(mode="after")
    def _check_one_rate(self) -> Self:
        if self.fps is not None and isinstance(
            self.source, ImagesSourceConfig | StreetSourceConfig
        ):
            raise ValueError(f"a source of kind {self.source.kind} has its own fps: set source.fps")
        return self

    @model_validator(mode="after")
    def _check_reconnects(self) -> Self:
        source = self.reconnects
        again = source is not None and source.tries_again != "never"
        if self.chaos and self.chaos.disconnects_per_min and not again:
            kind = self.source.kind
            raise ValueError(f"chaos.disconnects_per_min: kind {kind} is not connected to again")
        return self

    @model_validator(mode="after")
    def _check_names_differ(self) -> Self:
        require_distinct([line.name for line in self.lines], "line names")
        require_distinct([zone.name for zone in self.zones], "zone names")
        require_distinct([mask.name for mask in self.masks if mask.name], "mask names")
        return self
