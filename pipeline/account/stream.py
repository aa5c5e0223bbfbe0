"""The counts of one stream while it runs, by all threads that have its frames in their hands."""

import threading
from collections import Counter
from dataclasses import dataclass

from pipeline.core.messages import DropReason
from stages.base import Decoder, Rest, Times


@dataclass(slots=True)
class Connections:
    """The counts of one stream's connections; its own thread writes them."""

    up: int = 0
    """The connections that gave a picture."""
    failed: int = 0
    """The tries that failed, and connections that were lost."""
    denied: int = 0
    """The failed ones that were refused for the user or the password."""
    abandoned: int = 0
    """The decoders that hung in native code and were left behind."""
    hung: int = 0
    """The abandoned ones that are still there: each holds a thread, a socket and some pictures."""


class StreamAccount:
    """Counts of one stream. Frames are counted by the threads of decoding, detecting and
    publishing; the public attributes are written by those that decode the stream, one at a time.
    """

    def __init__(self, stream_id: str) -> None:
        self.stream_id = stream_id
        self.connections = Connections()
        self.chaos: dict[str, int] = {}
        self.times = Times()
        self.undecoded = 0
        self.decoder: Decoder | None = None
        self.rest: Rest | None = None
        self._lock = threading.Lock()
        self._decoded = 0
        self._published = 0
        self._dropped: Counter[DropReason] = Counter()
        self._open: dict[int, Counter[DropReason]] = {}
        """The frames neither published nor dropped, by rising `seq`, with the drops right before
        each: a camera whose frames are all dropped for a month makes this no longer."""
        self._behind: Counter[DropReason] = Counter()
        """The drops behind the last of the open frames."""

    def decode(self) -> int:
        """Count one more decoded frame -> its `seq`."""
        with self._lock:
            seq, self._decoded = self._decoded, self._decoded + 1
            self._open[seq], self._behind = self._behind, Counter()
            return seq

    def drop(self, seq: int, reason: DropReason) -> None:
        """Count a decoded frame that will not be published."""
        with self._lock:
            self._dropped[reason] += 1
            drops = self._open.pop(seq)
            drops[reason] += 1
            later = next((other for other in self._open if other > seq), None)
            (self._behind if later is None else self._open[later]).update(drops)

    def publish(self, seq: int) -> dict[DropReason, int]:
        """Count a published frame -> the drops since the one before it, by reason.

        Frames of a stream are published in order, so every drop before `seq` is known by now.
        """
        with self._lock:
            self._published += 1
            return dict(self._open.pop(seq, {}))

    def drop_if_open(self, seq: int, reason: DropReason) -> None:
        """Count a decoded frame that will not be published, unless it is published or dropped."""
        with self._lock:
            is_open = seq in self._open
        if is_open:
            self.drop(seq, reason)

    @property
    def next_seq(self) -> int:
        """The `seq` of the next frame to be decoded."""
        return self._decoded

    @property
    def settled(self) -> bool:
        """True when every decoded frame is published or dropped."""
        with self._lock:
            return self._decoded == self._published + self._dropped.total()

    def totals(self) -> tuple[int, int, dict[DropReason, int]]:
        """The counts (decoded, published, dropped by reason), as one consistent snapshot."""
        with self._lock:
            return self._decoded, self._published, dict(self._dropped)
