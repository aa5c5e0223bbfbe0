"""The section of a filter: which messages a sink gets."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from pipeline.config.values import Fraction, Identifier, Section
from pipeline.core.messages import Kind

_WITH_CLASS: frozenset[Kind] = frozenset({"frame", "track_end", "event"})
_Text = Annotated[str, StringConstraints(min_length=1)]


class OnlyConfig(Section):
    """A filter: a message passes if all given keys hold; see `sinks.filter.Filter`. Names that a
    run does not know, such as of a class, are refused by `pipeline.build.sinks.check_filters`."""

    kinds: Annotated[frozenset[Kind], Field(min_length=1)] | None = None
    streams: Annotated[tuple[_Text, ...], Field(min_length=1)] | None = None
    classes: Annotated[frozenset[_Text], Field(min_length=1)] | None = None
    min_score: Fraction = 0.0
    lines: Annotated[frozenset[Identifier], Field(min_length=1)] | None = None
    zones: Annotated[frozenset[Identifier], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _check_keys_have_kinds(self) -> Self:
        kinds = self.kinds
        if kinds is None:
            return self
        if self.classes is not None and not kinds & _WITH_CLASS:
            raise ValueError("classes is of no use: none of these kinds has a class")
        if self.min_score and "frame" not in kinds:
            raise ValueError("min_score is of no use: only frame messages have scores")
        if self.lines is not None and "event" not in kinds:
            raise ValueError("lines is of no use: only messages of kind event have a line")
        if self.zones is not None and "event" not in kinds:
            raise ValueError("zones is of no use: only messages of kind event have a zone")
        return self
