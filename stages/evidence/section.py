"""A section: a stretch of packets that belong into one file, of one connection, one encoding and
one epoch. It begins with a key frame, and so does what is left when its oldest packets go."""

from collections import deque
from dataclasses import dataclass, field

from stages.evidence.packets import Header, Kept


@dataclass(slots=True, eq=False)
class Section:
    """The packets of a section, in decoding order. Its ring has the lock.

    `keys_ns` are the times at which its key frames are shown. `epoch` is known from its first
    picture on. One that is not open gets no more packets.
    """

    header: Header
    epoch: int | None = None
    is_open: bool = True
    packets: deque[Kept] = field(default_factory=deque)
    keys_ns: deque[int] = field(default_factory=deque)

    @property
    def lasts_ns(self) -> int:
        return self.packets[-1].decoded_ns - self.packets[0].decoded_ns

    def append(self, packet: Kept) -> None:
        self.packets.append(packet)
        if packet.is_key:
            self.keys_ns.append(packet.at_ns)

    def drop_oldest(self) -> int:
        """Drop the packets up to the next key frame, and return their bytes. One that is empty then
        is over: the next key frame begins another."""
        dropped_bytes = 0
        self.keys_ns.popleft()
        while self.packets:
            dropped_bytes += len(self.packets.popleft().data)
            if self.packets and self.packets[0].is_key:
                return dropped_bytes
        self.is_open = False
        return dropped_bytes

    def drop_from(self, place: int) -> int:
        """Drop the packets from `place` on, and return their bytes."""
        dropped_bytes = 0
        while len(self.packets) > place:
            packet = self.packets.pop()
            dropped_bytes += len(packet.data)
            if packet.is_key:
                self.keys_ns.pop()
        return dropped_bytes

    def place_of(self, shown_ns: int) -> int | None:
        """The place of the packet that is shown at this time; the newest are looked at first."""
        for back, packet in enumerate(reversed(self.packets), 1):
            if packet.at_ns == shown_ns:
                return len(self.packets) - back
        return None
