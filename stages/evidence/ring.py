"""The newest packets of one stream, bounded in bytes and seconds, and the clips cut from them.

decoder ─► PacketTap ─► section, section, … ─► packets of a clip ─► the writer
                        each decodable from its start
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from pipeline.core.clock import SECOND_NS
from pipeline.core.frame import FrameInfo
from stages.evidence.base import ClipJob, Missing
from stages.evidence.clip import OpenClip
from stages.evidence.packets import Kept
from stages.evidence.section import Section
from stages.evidence.tap import PacketTap

LONGEST_LAG_NS: Final = 60 * SECOND_NS
"""The largest lag of a published frame behind its packet. Where it is further, there is no clip."""


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
        self._sections: deque[Section] = deque()
        self._clips: list[OpenClip] = []
        self._tap: PacketTap | None = None
        self._published: tuple[int, int] | None = None

    def connect(self) -> PacketTap:
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
            place = section.place_of(info.pts_ns)
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
            clip = OpenClip(path, section, from_ns, info.pts_ns + self.after_ns)
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

    def append(self, tap: PacketTap, packet: Kept, section: Section | None) -> bool:
        """See `tap.Ring`."""
        with self._lock:
            if tap is not self._tap:
                return False
            if section is not None:
                self._close_all()
                self._sections.append(section)
            section = self._sections[-1] if self._sections else None
            if section is None or not section.is_open:
                return False
            section.append(packet)
            self.held_bytes += len(packet.data)
            for clip in [c for c in self._clips if c.section is section and c.is_whole]:
                self._finish(clip)
            self._trim(section)
            return section.is_open

    def disconnect(self, tap: PacketTap) -> None:
        """See `tap.Ring`."""
        with self._lock:
            if tap is self._tap:
                self._close_all()

    def _split(self, section: Section, place: int | None) -> None:
        """What came from `place` on belongs to another epoch: it is let go, up to a key frame."""
        if place is not None:
            self.held_bytes -= section.drop_from(place)
        self._close(section)
        if not section.packets:
            self._sections.remove(section)

    def _close_all(self) -> None:
        for section in self._sections:
            self._close(section)

    def _close(self, section: Section) -> None:
        section.is_open = False
        for clip in [c for c in self._clips if c.section is section]:
            self._finish(clip)

    def _finish(self, clip: OpenClip, *, is_cut: bool = False) -> None:
        if clip in self._clips:
            self._clips.remove(clip)
        self._submit(clip.job(is_cut=is_cut))

    def _trim(self, newest: Section) -> None:
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

    def _is_past(self, section: Section) -> bool:
        """No event will ask for it: it is closed, has no open clip, and its epoch is published."""
        if section.is_open:
            return False
        published = self._published
        return section.epoch is None or (published is not None and published[0] > section.epoch)

    def _wanted_from_ns(self, section: Section) -> int:
        published = self._published
        if published is None or published[0] != section.epoch:
            return section.keys_ns[0]
        open_ns = [clip.from_ns for clip in self._clips if clip.section is section]
        return min([published[1] - self.before_ns, *open_ns])

    def _cut_clips(self, section: Section) -> None:
        """Clips that begin with its oldest key frame end here, as that is about to go."""
        for clip in [c for c in self._clips if c.section is section]:
            if clip.from_ns <= section.keys_ns[0]:
                self._finish(clip, is_cut=True)

    def _drop_oldest(self, section: Section) -> None:
        self.held_bytes -= section.drop_oldest()
        if not section.packets:
            self._sections.remove(section)
