"""The settings of a spool: how large it may grow, and what it does then."""

from dataclasses import dataclass
from typing import Final, Literal

from sinks.spool.segment import JOURNAL_BYTES

Fsync = Literal["always", "interval", "never"]
WhenSpoolFull = Literal["block", "drop_oldest", "drop_newest"]

LEAST_BYTES: Final = 1 << 20
_SEGMENT_BYTES: Final = 8 << 20
_SEGMENTS_AT_LEAST: Final = 8


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """`max_bytes` bounds the segments and their journal, at least 1 MiB; dead letters and damaged
    segments that were set aside are not in it.

    `when_full` is for a full spool and for a full or failing disk: `block` until there is room,
    `drop_oldest` whole segments, or `drop_newest`, what is offered. `fsync` is what a power cut may
    cost: nothing that was appended (`always`), the last second (`interval`), or what the system had
    not written (`never`). The death of our process costs nothing in any of them.
    """

    max_bytes: int = 1 << 30
    when_full: WhenSpoolFull = "block"
    fsync: Fsync = "interval"

    def __post_init__(self) -> None:
        if self.max_bytes < LEAST_BYTES:
            raise ValueError(f"SpoolSettings: max_bytes {self.max_bytes} is below {LEAST_BYTES}")

    @property
    def segment_bytes(self) -> int:
        """The size at which a segment ends: an eighth of the spool, 8 MiB at most."""
        room_bytes = self.max_bytes - JOURNAL_BYTES
        return min(_SEGMENT_BYTES, room_bytes // _SEGMENTS_AT_LEAST)
