"""Everything that one run needs: model, batches, tracking, streams, sinks."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    model_validator,
)

from detectors.base import Precision
from detectors.engines.options import EngineChoice, Hint
from pipeline.config.evidence import EvidenceConfig, Privacy, StreamEvidenceConfig
from pipeline.config.looking import AppearanceConfig, CameraMotionChoice
from pipeline.config.motion_gate import MotionGateConfig
from pipeline.config.sinks import (
    SinkConfig,
    SpoolConfig,
)
from pipeline.config.sources import StdinSourceConfig
from pipeline.config.streams import StreamConfig
from pipeline.config.values import (
    FilePath,
    Fraction,
    Identifier,
    Number,
    Seconds,
    Section,
    Whole,
    require_distinct,
)
from stages.base import Hwaccel

MOST_WORKERS: Final = 256


class ModelConfig(Section):
    """The detector and its engine. `name` is a bundled model or a path to an ONNX file; the keys of
    the engine are those of `detectors.engines.options.EngineOptions`."""

    name: str = "yolo_nas_n_int8"
    engine: EngineChoice = "auto"
    precision: Precision | None = None
    score_threshold: Fraction = 0.25
    iou_threshold: Fraction = 0.5
    classes: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    threads: Annotated[Whole, Field(ge=0, le=256)] = 0
    hint: Hint | None = None
    max_batch: Annotated[Whole, Field(ge=1, le=256)] | None = None
    cache: FilePath | None = None
    input_shape: Literal["follow", "file"] = "follow"


class BatchConfig(Section):
    """How frames of all streams form batches: up to `size` frames, after at most `within_ms` of
    waiting. With `latency_target_ms` both are planned while it runs, see `pipeline.load.pace`."""

    size: Annotated[Whole, Field(ge=1, le=256)] = 2
    within_ms: Annotated[Number, Field(ge=0, le=10_000)] | None = None
    latency_target_ms: Annotated[Number, Field(ge=1, le=60_000)] | None = None

    def wait_ms(self, concurrency: int) -> float:
        """The longest wait of a batch: `within_ms`, or its default for a detector that computes
        `concurrency` batches at once: with several, larger batches gain nothing."""
        if self.within_ms is not None:
            return self.within_ms
        return 0.0 if concurrency > 1 else 5.0

    @model_validator(mode="after")
    def _check_one_way_of_waiting(self) -> Self:
        if self.latency_target_ms is not None and self.within_ms is not None:
            raise ValueError(
                "within_ms has no use with latency_target_ms, which chooses how long to wait"
            )
        return self


class TrackingConfig(Section):
    """The tracker; `stages.tracking.TrackerParams` explains its numbers. `enabled: false` publishes
    detections without identity. `camera_motion` is for streams without a key of their own."""

    enabled: bool = True
    high_score: Fraction = 0.4
    low_score: Fraction = 0.1
    birth_score: Fraction = 0.5
    confirm_hits: Annotated[Whole, Field(ge=1, le=1000)] = 2
    lost_s: Annotated[Number, Field(gt=0, le=3600)] = 1.0
    camera_motion: CameraMotionChoice = "off"
    appearance: AppearanceConfig | None = None

    @property
    def tracker_params(self) -> dict[str, Any]:
        """The keys that are fields of `stages.tracking.TrackerParams`."""
        return self.model_dump(exclude={"enabled", "camera_motion", "appearance"})

    @model_validator(mode="after")
    def _check_scores_ascend(self) -> Self:
        if not self.low_score <= self.high_score <= self.birth_score:
            raise ValueError("low_score <= high_score <= birth_score must hold")
        return self


def _whole_or_auto(value: object) -> object:
    """`auto` or a number, with one error for both: a union would complain of each form."""
    count = int(value) if isinstance(value, str) and value.isdecimal() else value
    whole = isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= MOST_WORKERS
    if not whole and value != "auto":
        raise ValueError(
            f"must be auto or a whole number from 0 to {MOST_WORKERS}, not {value!r:.80}"
        )
    return count


class PipelineConfig(Section):
    """Everything that one run needs."""

    streams: Annotated[tuple[StreamConfig, ...], Field(min_length=1)]
    sinks: tuple[SinkConfig, ...] = ()
    spool: SpoolConfig = SpoolConfig()
    model: ModelConfig = ModelConfig()
    batch: BatchConfig = BatchConfig()
    tracking: TrackingConfig = TrackingConfig()
    run_id: Identifier | None = None
    drain_timeout_s: Seconds = 30
    parallel_files: Annotated[Whole, Field(ge=1, le=1024)] = 8
    heartbeat_s: Annotated[Number, Field(ge=0, le=3600)] = 10
    hwaccel: Hwaccel = "none"
    evidence: EvidenceConfig | None = None
    privacy: Privacy = "off"
    motion_gate: MotionGateConfig | None = None
    workers: Annotated[int | Literal["auto"], BeforeValidator(_whole_or_auto)] = "auto"

    def privacy_of(self, stream: StreamConfig) -> Privacy:
        """What is hidden of people in the pictures of this stream."""
        return self.privacy if stream.privacy is None else stream.privacy

    def camera_motion_of(self, stream: StreamConfig) -> Literal["off", "flow", "ecc"]:
        """How the motion of this stream's camera is estimated; `off`: it stands still."""
        if not self.tracking.enabled:
            return "off"
        return stream.camera_motion or self.tracking.camera_motion

    def motion_gate_of(self, stream: StreamConfig) -> MotionGateConfig | None:
        """The motion gate of this stream with all defaults filled in: what the top level says, but
        for the keys that the stream gives. None: it has none."""
        own, wanted = stream.motion_gate, self.motion_gate or stream.motion_gate
        if wanted is None:
            return None
        given = {name: getattr(own, name) for name in own.model_fields_set} if own else {}
        wanted = wanted.model_copy(update=given)
        if not wanted.enabled:
            return None
        hold_s = wanted.hold_s or self.tracking.lost_s + 1
        looks = wanted.looks or self.tracking.confirm_hits
        return wanted.model_copy(update={"hold_s": hold_s, "looks": looks})

    def evidence_of(self, stream: StreamConfig) -> StreamEvidenceConfig | None:
        """The evidence of this stream's events: what the top level says, but for the keys that the
        stream gives. None: nothing is kept."""
        if self.evidence is None:
            return None
        wanted, own = self.evidence.of_stream, stream.evidence
        if own is not None:
            given = {name: getattr(own, name) for name in own.model_fields_set}
            wanted = wanted.model_copy(update=given)
        return wanted if wanted.enabled and (wanted.snapshot or wanted.clip) else None

    @model_validator(mode="after")
    def _check_evidence(self) -> Self:
        for stream in self.streams:
            if stream.evidence is not None and self.evidence is None:
                raise ValueError(
                    f"stream {stream.id!r} wants evidence: say where to, with evidence.folder"
                )
            wanted = self.evidence_of(stream)
            if wanted is None or wanted.clip is None:
                continue
            way_out = f"set clip: null in the evidence of stream {stream.id!r}"
            if not stream.decodes:
                kind = stream.source.kind
                raise ValueError(f"a source of kind {kind} has no encoded video to clip: {way_out}")
            if self.privacy_of(stream) != "off":
                raise ValueError(
                    "clips are the camera's own encoding, in which nobody can be hidden: "
                    f"{way_out}, or its privacy: off"
                )
        return self

    @model_validator(mode="after")
    def _check_names_differ(self) -> Self:
        require_distinct([stream.id for stream in self.streams], "stream ids")
        require_distinct([sink.name for sink in self.sinks if sink.name], "sink names")
        return self

    @model_validator(mode="after")
    def _check_one_standard_input(self) -> Self:
        if sum(isinstance(stream.source, StdinSourceConfig) for stream in self.streams) > 1:
            raise ValueError("only one stream can read standard input")
        return self

    @model_validator(mode="after")
    def _check_batch_size(self) -> Self:
        limit = self.model.max_batch
        if limit is not None and self.batch.size > limit:
            raise ValueError(
                f"batch.size {self.batch.size} is more than model.max_batch {limit}: "
                "make one smaller or the other larger"
            )
        return self

    @model_validator(mode="after")
    def _check_rules_have_tracks(self) -> Self:
        rules = any(s.lines or s.zones or s.plane for s in self.streams)
        if not self.tracking.enabled and rules:
            why = "lines, zones, planes are about tracks: remove them or set tracking.enabled: true"
            raise ValueError(why)
        return self

    @model_validator(mode="after")
    def _check_planes_stand_still(self) -> Self:
        for stream in self.streams:
            if stream.plane is not None and self.camera_motion_of(stream) != "off":
                raise ValueError(
                    f"stream {stream.id!r}: its plane holds only while its camera stands still; "
                    "remove plane, or set the stream's camera_motion: off"
                )
        return self
