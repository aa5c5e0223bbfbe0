"""The keys of every kind of sink, and those of its spool."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pipeline.channel import WhenFull
from pipeline.config.sinks.only import OnlyConfig
from pipeline.config.values import FilePath, Identifier, Section, Whole
from sinks.spool.settings import Fsync, WhenSpoolFull

Megabytes = Annotated[Whole, Field(ge=1, le=1 << 24)]


class SpoolConfig(Section):
    """The spool, in which messages wait until the receivers of network sinks have confirmed them:
    each sink has a folder of its name in `folder`. `max_mb` (MiB) and the other keys are for each
    sink."""

    folder: FilePath = Path(".eyrie/spool")
    max_mb: Megabytes = 1024
    when_full: WhenSpoolFull = "block"
    fsync: Fsync = "interval"


class OwnSpoolConfig(Section):
    """The keys of one sink's spool that differ from `spool`."""

    folder: FilePath | None = None
    max_mb: Megabytes | None = None
    when_full: WhenSpoolFull | None = None
    fsync: Fsync | None = None


def _off(value: object) -> object:
    """The word `off`, which YAML reads as false."""
    return "off" if value is False else value


class SinkSection(Section):
    """The keys of every kind of sink."""

    name: Identifier | None = None
    queue_messages: Annotated[Whole, Field(ge=1, le=1_000_000)] = 1000
    when_full: WhenFull = "block"
    only: OnlyConfig | None = None


class SpooledSection(SinkSection):
    """The keys of every kind of sink that delivers over a network."""

    spool: Annotated[OwnSpoolConfig | Literal["off"] | None, BeforeValidator(_off)] = None

    @property
    def spools(self) -> bool:
        """True if the sink's messages are spooled, unless `spool: off`."""
        return True

    def spool_config(self, common: SpoolConfig) -> SpoolConfig | None:
        """The sink's spool: `common`, that of all sinks, with its own keys. None: it has none."""
        if self.spool == "off" or not self.spools:
            return None
        own = self.spool.model_dump(exclude_none=True) if self.spool is not None else {}
        return common.model_copy(update=own)
