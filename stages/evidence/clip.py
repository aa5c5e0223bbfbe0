"""A clip that waits for its last packet, and which packets of its section are in it."""

from dataclasses import dataclass

from stages.evidence.base import ClipJob
from stages.evidence.packets import Kept
from stages.evidence.section import Section


@dataclass(slots=True, eq=False)
class OpenClip:
    """A clip from the key frame at `from_ns` to `until_ns`, in the times of its section."""

    path: str
    section: Section
    from_ns: int
    until_ns: int

    @property
    def is_whole(self) -> bool:
        """True if no packet that is still to come belongs into it."""
        newest_ns = self.section.packets[-1].decoded_ns
        return newest_ns > self.until_ns and newest_ns > self._shows_ns

    def job(self, *, is_cut: bool = False) -> ClipJob:
        """The clip of what the section has so far; `is_cut` if it ends early."""
        return ClipJob(self.path, self.section.header, self._packets, is_cut)

    @property
    def _shows_ns(self) -> int:
        """When the last of its pictures is shown: the last that is decoded in time, which may be
        sent before others that are shown earlier."""
        in_time = (p.at_ns for p in self.section.packets if p.decoded_ns <= self.until_ns)
        return max(in_time, default=self.until_ns)

    @property
    def _packets(self) -> list[Kept]:
        """What it has so far, in decoding order."""
        shows_ns = self._shows_ns
        found: list[Kept] = []
        for packet in self.section.packets:
            wanted = packet.decoded_ns <= self.until_ns or packet.at_ns <= shows_ns
            begun = found or (packet.is_key and packet.at_ns >= self.from_ns)
            if wanted and begun:
                found.append(packet)
        return found
