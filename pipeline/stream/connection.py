"""One connection of a stream: a decoder in a thread of its own, watched, abandoned if it hangs."""

import contextlib
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pipeline.core.clock import Clock
from pipeline.core.errors import DecodeError, SourceError, SourceHung
from pipeline.core.frame import Frame
from pipeline.core.log import get_logger, redact
from stages.base import Source

log = get_logger(__name__)

STOP_WITHIN_S: Final = 1.0
"""The time that a decoder may take after `stop`, before it is abandoned."""
GRACE_S: Final = 3.0
"""The time beyond its own deadlines before a decoder counts as hung: for the last packet, closing,
and a busy machine."""
_LOOK_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Patience:
    """The times for which a source may show no sign of life: before its first packet, and after
    it."""

    open_s: float
    read_s: float
    grace_s: float = GRACE_S


class Connection:
    """One decoder from its opening until it ends, fails, hangs, or is stopped.

    With `patience`, the source is made and decoded in a daemon thread of its own, and `run` only
    watches: its counts must move. A decoder that hangs in native code cannot be ended; it is left
    behind, and nothing that it may still give is taken. Without `patience`, `run` itself decodes.

    `take` gets every frame, with its source, and says whether to go on. `on_look` is called with
    the source about twice a second while its decoder is watched, from the watching thread.
    """

    def __init__(
        self,
        stream_id: str,
        make_source: Callable[[], Source],
        take: Callable[[Source, Frame], bool],
        patience: Patience | None,
        clock: Clock,
        on_look: Callable[[Source], object] = lambda _: None,
    ) -> None:
        self.stream_id = stream_id
        self.source: Source | None = None
        self.failure: SourceError | None = None
        self.abandoned = False
        self._make_source, self._take, self._patience = make_source, take, patience
        self._clock, self._on_look = clock, on_look
        self._guard = threading.Lock()
        self._taking = self._stopping = self._done = False
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        """True while the decoder's thread runs, also after it was abandoned."""
        return self._thread is not None and self._thread.is_alive()

    def run(self) -> None:
        """Decode, or watch the decoder, until the connection is over; then `failure` says why,
        None: it just ended. Blocks."""
        if self._patience is None:
            self._decode()
            return
        name = f"eyrie decode {self.stream_id}"
        self._thread = threading.Thread(target=self._decode, name=name, daemon=True)
        self._thread.start()
        self._watch(self._patience)

    def stop(self) -> None:
        """Make `run` return soon. Never blocks; any thread, any number of times."""
        with self._guard:
            self._stopping = True
            source = self.source
        if source is not None:
            source.close()
        self._woken.set()

    def _decode(self) -> None:
        failure: SourceError | None = None
        try:
            with contextlib.closing(self._make_source()) as source:
                with self._guard:
                    self.source = source
                    stopping = self._stopping
                if not stopping:
                    self._give_frames(source)
        except SourceError as error:
            failure = _bare(error)
        except Exception as error:  # noqa: BLE001 - ends this connection, with its name
            log.debug("%s", redact("".join(traceback.format_exception(error))))
            what = redact(f"{type(error).__name__}: {error}")
            failure = DecodeError(self.stream_id, f"unexpected {what}")
        finally:
            with self._guard:
                if not self.abandoned:
                    self.failure = failure
                self._done = True
            self._woken.set()

    def _give_frames(self, source: Source) -> None:
        for frame in source.frames():
            with self._guard:
                if self.abandoned:
                    return
                self._taking = True
            goes_on = self._take(source, frame)
            with self._guard:
                self._taking = False
            if not goes_on:
                return

    def _watch(self, patience: Patience) -> None:
        signs, moved_s = 0, self._clock.monotonic_s()
        stopped_s: float | None = None
        while not self._done:
            self._woken.wait(_LOOK_EVERY_S)
            self._woken.clear()
            now_s, before = self._clock.monotonic_s(), signs
            signs = self._signs()
            if self._taking or signs != before:
                moved_s = now_s
            if self._stopping and (stopped_s is None or self._taking):
                stopped_s = now_s
            limit_s = patience.grace_s + (patience.read_s if signs else patience.open_s)
            if stopped_s is not None and now_s > stopped_s + STOP_WITHIN_S:
                self._abandon(None)
            elif now_s > moved_s + limit_s:
                self._abandon(limit_s)
            if self.abandoned:
                return
            if self.source is not None and not self._taking:
                self._on_look(self.source)

    def _signs(self) -> int:
        """The count of packets and pictures, which moves while the decoder lives; 0 before its
        first packet."""
        counts = self.source.counts if self.source is not None else None
        return counts.packets_total + counts.decoded_total if counts is not None else 0

    def _abandon(self, limit_s: float | None) -> None:
        """Give the decoder up, unless it moved at the last moment. `limit_s` None: it did not heed
        `stop`."""
        with self._guard:
            if self._taking or self._done:
                return
            self.abandoned = True
            if limit_s is not None:
                why = f"the decoder hung for {limit_s:.0f} s and was abandoned"
                self.failure = SourceHung(self.stream_id, why)
        if self.source is not None:
            self.source.close()


def _bare(error: SourceError) -> SourceError:
    """The error without its traceback, which holds the decoder with all its pictures, in a circle
    that only the garbage collector opens, and it counts objects, not megabytes."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
