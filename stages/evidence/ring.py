"""The newest packets of one stream, bounded in bytes and seconds, and the clips cut from them.

    decoder ─► PacketTap ─► section, section, … ─► packets of a clip ─► the writer
                            each decodable from its start

A *section* is a stretch of packets that belong into one file: of one connection, one encoding and
one epoch. It begins with a key frame, and so does what is left of it when its oldest packets go.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from av.packet import Packet
from av.video.stream import VideoStream

from pipeline.core.clock import SECOND_NS, period_ns, to_ns
from pipeline.core.frame import FrameInfo
from stages.base import LARGEST_STEP_BACK_NS
from stages.evidence.base import ClipJob, Missing
from stages.evidence.packets import Header, Kept, header_of, parameter_sets

LONGEST_LAG_NS: Final = 60 * SECOND_NS
"""The largest lag of a published frame behind its packet. Where it is further, there is no clip."""


@dataclass(slots=True)
class _Section:
    header: Header
    epoch: int | None = None
    """Known from its first picture on."""
    is_open: bool = True
    packets: deque[Kept] = field(default_factory=deque)
    keys_ns: deque[int] = field(default_factory=deque)
    """When its key frames are shown."""

    @property
    def lasts_ns(self) -> int:
        return self.packets[-1].decoded_ns - self.packets[0].decoded_ns


@dataclass(slots=True)
class _Open:
    """A clip that waits for its last packet."""

    path: str
    section: _Section
    from_ns: int
    until_ns: int

    @property
    def shows_ns(self) -> int:
        """When the last of its pictures is shown: the last that is decoded in time, which may be
        sent before others that are shown earlier."""
        in_time = (p.at_ns for p in self.section.packets if p.decoded_ns <= self.until_ns)
        return max(in_time, default=self.until_ns)

    @property
    def is_whole(self) -> bool:
        newest_ns = self.section.packets[-1].decoded_ns
        return newest_ns > self.until_ns and newest_ns > self.shows_ns

    @property
    def packets(self) -> list[Kept]:
        """What it has so far, in decoding order."""
        shows_ns = self.shows_ns
        found: list[Kept] = []
        for packet in self.section.packets:
            wanted = packet.decoded_ns <= self.until_ns or packet.at_ns <= shows_ns
            begun = found or (packet.is_key and packet.at_ns >= self.from_ns)
            if wanted and begun:
                found.append(packet)
        return found


class PacketRing:
    """Packets of one stream over all its connections. Any thread; nothing in here blocks.

    It holds what clips that may still be asked for need: from the key frame at or before
    `before_ns` before the newest published frame, and of open clips all. Beyond `most_bytes`, or
    `before_ns + after_ns + LONGEST_LAG_NS`, the oldest goes in any case, up to a key frame; clips
    that need it end there. `submit` gets whole clips; it is called with the lock held.
    """

    def __init__(
        self,
        before_ns: int,
        after_ns: int,
        most_bytes: int,
        most_open: int,
        submit: Callable[[ClipJob], object],
    ) -> None:
        self.before_ns, self.after_ns = before_ns, after_ns
        self.held_bytes = 0
        self.is_unfit = False
        """MP4 does not hold what comes now."""
        self._most_bytes, self._most_open, self._submit = most_bytes, most_open, submit
        self._lock = threading.Lock()
        self._sections: deque[_Section] = deque()
        self._clips: list[_Open] = []
        self._tap: PacketTap | None = None
        self._published: tuple[int, int] | None = None

    def connect(self) -> "PacketTap":
        """Make the tap for the packets of a new connection; the one before is over."""
        with self._lock:
            self._close_all()
            self._tap = PacketTap(self)
            return self._tap

    def frame(self, info: FrameInfo) -> None:
        """A picture has come out of the decoder, before any later packet goes in. A new epoch ends
        the section at its packet."""
        with self._lock:
            section = self._sections[-1] if self._sections else None
            if section is None or section.epoch == info.epoch or not section.is_open:
                return
            place = _place_of(section, info.pts_ns)
            if section.epoch is not None:
                self._split(section, place)
            elif place is not None:
                section.epoch = info.epoch

    def published(self, info: FrameInfo) -> None:
        """A frame's events are told: older packets are wanted no more."""
        self._published = (info.epoch, info.pts_ns)

    @property
    def likely_bytes(self) -> int:
        """The likely size in bytes of a clip that begins now: by the rate of what is held, and half
        as much again, as there is more to encode where something happens."""
        with self._lock:
            held_ns = max(sum(section.lasts_ns for section in self._sections), SECOND_NS)
            wanted_ns = self.before_ns + self.after_ns
            return min(3 * self.held_bytes * wanted_ns // (2 * held_ns), self._most_bytes)

    def open_clip(self, path: str, info: FrameInfo) -> Missing | None:
        """Cut a clip around this frame as soon as it is whole. Says why there will be none."""
        with self._lock:
            if len(self._clips) >= self._most_open:
                return "too_many_clips"
            section = next((s for s in self._sections if s.epoch == info.epoch), None)
            if section is None or section.keys_ns[0] > info.pts_ns:
                return "codec" if self.is_unfit else "no_key_frame"
            from_ns = max(
                (key for key in section.keys_ns if key <= info.pts_ns - self.before_ns),
                default=section.keys_ns[0],
            )
            clip = _Open(path, section, from_ns, info.pts_ns + self.after_ns)
            if section.is_open and not clip.is_whole:
                self._clips.append(clip)
            else:
                self._finish(clip)
        return None

    def end(self, epoch: int | None = None) -> None:
        """Note that no more packets come for this epoch and those before it: what clips have by now
        is all they get. None: for any, nor will clips be asked for, so that nothing is held."""
        with self._lock:
            for section in self._sections:
                if epoch is None or (section.epoch is not None and section.epoch <= epoch):
                    self._close(section)
            if epoch is None:
                self._sections.clear()
                self.held_bytes = 0

    def _append(self, tap: "PacketTap", packet: Kept, section: _Section | None) -> bool:
        """A packet of the connection; with a section that begins with it. False: not wanted."""
        with self._lock:
            if tap is not self._tap:
                return False
            if section is not None:
                self._close_all()
                self._sections.append(section)
            section = self._sections[-1] if self._sections else None
            if section is None or not section.is_open:
                return False
            section.packets.append(packet)
            self.held_bytes += len(packet.data)
            if packet.is_key:
                section.keys_ns.append(packet.at_ns)
            for clip in [c for c in self._clips if c.section is section and c.is_whole]:
                self._finish(clip)
            self._trim(section)
            return section.is_open

    def _disconnect(self, tap: "PacketTap") -> None:
        with self._lock:
            if tap is self._tap:
                self._close_all()

    def _split(self, section: _Section, place: int | None) -> None:
        """What came from `place` on belongs to another epoch: it is let go, up to a key frame."""
        behind = len(section.packets) - place if place is not None else 0
        for _ in range(behind):
            packet = section.packets.pop()
            self.held_bytes -= len(packet.data)
            if packet.is_key:
                section.keys_ns.pop()
        self._close(section)
        if not section.packets:
            self._sections.remove(section)

    def _close_all(self) -> None:
        for section in self._sections:
            self._close(section)

    def _close(self, section: _Section) -> None:
        section.is_open = False
        for clip in [c for c in self._clips if c.section is section]:
            self._finish(clip)

    def _finish(self, clip: _Open, *, is_cut: bool = False) -> None:
        if clip in self._clips:
            self._clips.remove(clip)
        self._submit(ClipJob(clip.path, clip.section.header, clip.packets, is_cut))

    def _trim(self, newest: _Section) -> None:
        while self._sections[0] is not newest and self._is_past(self._sections[0]):
            self._drop_oldest(self._sections[0])
        wanted_ns = self._wanted_from_ns(newest)
        span_ns = self.before_ns + self.after_ns + LONGEST_LAG_NS
        while self._sections:
            oldest = self._sections[0]
            too_long = oldest is newest and newest.lasts_ns > span_ns
            too_much = self.held_bytes > self._most_bytes or too_long
            spare = oldest is newest and len(oldest.keys_ns) > 1 and oldest.keys_ns[1] <= wanted_ns
            if not too_much and not spare:
                return
            if too_much:
                self._cut_clips(oldest)
            self._drop_oldest(oldest)

    def _is_past(self, section: _Section) -> bool:
        """No event will ask for it: it is closed, has no open clip, and its epoch is published."""
        if section.is_open:
            return False
        published = self._published
        return section.epoch is None or (published is not None and published[0] > section.epoch)

    def _wanted_from_ns(self, section: _Section) -> int:
        published = self._published
        if published is None or published[0] != section.epoch:
            return section.keys_ns[0]
        open_ns = [clip.from_ns for clip in self._clips if clip.section is section]
        return min([published[1] - self.before_ns, *open_ns])

    def _cut_clips(self, section: _Section) -> None:
        """Clips that begin with its oldest key frame end here, as that is about to go."""
        for clip in [c for c in self._clips if c.section is section]:
            if clip.from_ns <= section.keys_ns[0]:
                self._finish(clip, is_cut=True)

    def _drop_oldest(self, section: _Section) -> None:
        """The packets from its start to its next key frame; a section that is empty then is over,
        and the next key frame begins another."""
        section.keys_ns.popleft()
        while section.packets:
            self.held_bytes -= len(section.packets.popleft().data)
            if section.packets and section.packets[0].is_key:
                return
        section.is_open = False
        self._sections.remove(section)


class PacketTap:
    """The packets of one connection on their way to the decoder; the decoder's thread."""

    def __init__(self, ring: PacketRing) -> None:
        self._ring = ring
        self._section: _Section | None = None
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
        if not self._ring._append(self, kept, section):
            self._section = None

    def close(self) -> None:
        """The connection is over. Any number of times."""
        self._ring._disconnect(self)

    def _begun_by(
        self, packet: "Packet[VideoStream]", data: bytes, decoded_ns: int
    ) -> _Section | None:
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
        return _Section(header)

    def _stepped_back(self, decoded_ns: int) -> bool:
        return self._last_ns is not None and decoded_ns < self._last_ns - LARGEST_STEP_BACK_NS


def _place_of(section: _Section, shown_ns: int) -> int | None:
    """Where the packet that is shown at this time is, looking at the newest first."""
    for back, packet in enumerate(reversed(section.packets), 1):
        if packet.at_ns == shown_ns:
            return len(section.packets) - back
    return None
