"""The keys of every kind of sink."""

from typing import Annotated

from pydantic import Field

from pipeline.channel import WhenFull
from pipeline.config.values import Identifier, Section, Whole


class SinkSection(Section):
    """The keys of every kind of sink."""

    name: Identifier | None = None
    queue_messages: Annotated[Whole, Field(ge=1, le=1_000_000)] = 1000
    when_full: WhenFull = "block"
