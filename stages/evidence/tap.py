"""The packets of one connection, on their way to the decoder, into the ring."""

from typing import Protocol

from av.packet import Packet
from av.video.stream import VideoStream

from pipeline.core.clock import SECOND_NS, period_ns, to_ns
from stages.base import LARGEST_STEP_BACK_NS
from stages.evidence.packets import Kept, header_of, parameter_sets
from stages.evidence.section import Section


class Ring(Protocol):
    """The ring, as its taps know it."""

    is_unfit: bool
    """True while MP4 does not hold what comes."""

    def append(self, tap: "PacketTap", packet: Kept, section: Section | None) -> bool:
        """Take a packet of the connection; with a section, it begins that. False: not wanted, for
        another connection has begun, or the section is over."""

    def disconnect(self, tap: "PacketTap") -> None:
        """Note that no more will come."""


class PacketTap:
    """The packets of one connection on their way to the decoder; the decoder's thread."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._section: Section | None = None
        self._sets = b""
        self._last_ns: int | None = None
        self._last_dts = 0

    def packet(self, packet: "Packet[VideoStream]", shown_ns: int | None) -> None:
        """The next one; `shown_ns` is its `pts` as pictures tell it. Copies its bytes."""
        base = packet.time_base
        if shown_ns is None or packet.pts is None or not base or packet.size == 0:
            return
        data, is_key = bytes(packet), packet.is_keyframe
        dts = packet.dts if packet.dts is not None else packet.pts
        decoded_ns = shown_ns - to_ns(packet.pts - dts, base)
        section = self._begun_by(packet, data, decoded_ns) if is_key else None
        stepped_back = self._stepped_back(decoded_ns)
        self._last_ns = decoded_ns
        if section is None and (self._section is None or stepped_back):
            self._section = None
            return
        duration = packet.duration or round(period_ns(None) / SECOND_NS / base)
        kept = Kept(data, packet.pts, dts, duration, is_key, shown_ns, decoded_ns)
        self._section = section or self._section
        if not self._ring.append(self, kept, section):
            self._section = None

    def close(self) -> None:
        """The connection is over. Any number of times."""
        self._ring.disconnect(self)

    def _begun_by(
        self, packet: "Packet[VideoStream]", data: bytes, decoded_ns: int
    ) -> Section | None:
        """The section that this key frame begins; None: it goes on with the one before."""
        codec = packet.stream.codec_context.name
        sets = parameter_sets(codec, data)
        is_new = (sets and sets != self._sets) or packet.has_sidedata("new_extradata")
        goes_on = self._section is not None and self._section.is_open
        if goes_on and not is_new and not self._stepped_back(decoded_ns):
            return None
        header = header_of(packet, data)
        self._ring.is_unfit = header is None
        if header is None:
            self._section = None
            return None
        self._sets = sets
        return Section(header)

    def _stepped_back(self, decoded_ns: int) -> bool:
        return self._last_ns is not None and decoded_ns < self._last_ns - LARGEST_STEP_BACK_NS
