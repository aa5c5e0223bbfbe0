"""Sections for evidence of events, pictures and clips, and for the privacy of people in them."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pipeline.config.values import FilePath, Number, Section, Whole


def _switch(value: object) -> object:
    """The choice for a YAML switch, which is read as a boolean: `on` hides whole persons."""
    if isinstance(value, bool):
        return "persons" if value else "off"
    return value


Privacy = Annotated[Literal["off", "persons", "faces"], BeforeValidator(_switch)]


class SnapshotConfig(Section):
    """Pictures of the moment of an event. `crop`: its object, with `margin` of its size around it;
    `frame`: the whole picture. `quality` is JPEG's, 1 to 100."""

    crop: bool = True
    frame: bool = True
    margin: Annotated[Number, Field(ge=0, le=2)] = 0.15
    quality: Annotated[Whole, Field(ge=1, le=100)] = 85

    @model_validator(mode="after")
    def _check_any_picture(self) -> Self:
        if not self.crop and not self.frame:
            raise ValueError("crop and frame are both off: leave snapshot out instead")
        return self


class ClipConfig(Section):
    """The video from `before_s` before an event to `after_s` behind it, as the camera encoded it.
    At most `buffer_mb` MiB of a stream's packets are held for it."""

    before_s: Annotated[Number, Field(ge=0, le=300)] = 5
    after_s: Annotated[Number, Field(ge=0, le=300)] = 5
    buffer_mb: Annotated[Whole, Field(ge=1, le=4096)] = 32
    most_open: Annotated[Whole, Field(ge=1, le=256)] = 8


class KeepConfig(Section):
    """The limits of the evidence folder: the oldest files beyond `max_mb` MiB in all, and those
    older than `max_age_h` hours, are deleted. None: no limit."""

    max_mb: Annotated[Whole, Field(ge=1)] | None = 1024
    max_age_h: Annotated[Number, Field(gt=0, le=87_600)] | None = None


class StreamEvidenceConfig(Section):
    """The evidence of one stream's events; keys that are left out are those of `evidence`. `events`
    are names of events; None: all. `snapshot` or `clip` None: none."""

    enabled: bool = True
    events: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    snapshot: SnapshotConfig | None = SnapshotConfig()
    clip: ClipConfig | None = None


class EvidenceConfig(Section):
    """The folder of evidence, what is written there of each event, and for how long it is kept."""

    folder: FilePath
    events: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    snapshot: SnapshotConfig | None = SnapshotConfig()
    clip: ClipConfig | None = None
    keep: KeepConfig = KeepConfig()
    queue_files: Annotated[Whole, Field(ge=1, le=4096)] = 64

    @property
    def of_stream(self) -> StreamEvidenceConfig:
        """The evidence of a stream that has no `evidence` section of its own."""
        return StreamEvidenceConfig(events=self.events, snapshot=self.snapshot, clip=self.clip)
