"""Streaks: for how many of their frames in a row tracks have been where they do not count yet."""

from collections.abc import Container

from stages.zones.sight import Columns

Key = tuple[int, int]
"""Place of a zone or line, column of a track."""


class Streaks:
    """The streaks of pairs of a zone or line and a track. A frame in which the track is not seen
    neither ends a streak nor counts in it; one in which it is seen elsewhere ends it. Bounded by
    the tracks that live, once `forget` is told of those that are over."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._frames: dict[Key, tuple[int, int]] = {}
        """How many frames, and when the last of them was."""

    def __len__(self) -> int:
        return len(self._frames)

    def longer(self, key: Key, now_ns: int) -> int:
        """The track is there in this frame, which `Columns` does not remember yet -> how many
        frames that makes."""
        frames = self.of(key) + 1
        self._frames[key] = frames, now_ns
        return frames

    def of(self, key: Key) -> int:
        """The length in frames of each streak, up to the last frame that `Columns` remembers."""
        frames, last_ns = self._frames.get(key, (0, 0))
        return frames if last_ns == self._columns.seen_ns.now[key[1]] else 0

    def end(self, key: Key) -> None:
        """End a streak: the track counts there from now on."""
        self._frames.pop(key, None)

    def forget(self, columns: Container[int]) -> None:
        """The tracks of these columns are over."""
        for key in [key for key in self._frames if key[1] in columns]:
            del self._frames[key]

    def clear(self) -> None:
        """End all streaks, as all tracks are over."""
        self._frames.clear()
