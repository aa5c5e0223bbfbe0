"""Fingerprints of messages: exact for many millions, in bounded memory."""

from array import array
from collections import OrderedDict
from typing import Final

PAGE: Final = 1024
MOST_PAGES: Final = 16_384
MOST_IDS: Final = 500_000

_EMPTY: Final = bytes(8 * PAGE)


class ByNumber:
    """Fingerprints of frame messages by `seq`, 8 bytes each, in pages of `PAGE`; the `most_pages`
    used last are kept, by default 128 MiB for all streams."""

    def __init__(self, most_pages: int = MOST_PAGES) -> None:
        self._pages: OrderedDict[tuple[int, int], array[int]] = OrderedDict()
        self._most_pages = most_pages
        self._last_key = (-1, -1)
        self._last = array("q")

    def swap(self, stream: int, seq: int, fingerprint: int) -> int:
        """Put this fingerprint where none is -> the one that was there, 0 if none or forgotten."""
        key = stream, seq // PAGE
        if key != self._last_key:
            self._last_key, self._last = key, self._page(key)
        place = seq % PAGE
        known = self._last[place]
        if known == 0:
            self._last[place] = fingerprint
        return known

    def _page(self, key: tuple[int, int]) -> "array[int]":
        page = self._pages.get(key)
        if page is not None:
            self._pages.move_to_end(key)
            return page
        page = self._pages[key] = array("q", _EMPTY)
        if len(self._pages) > self._most_pages:
            self._pages.popitem(last=False)
        return page


class ById:
    """Fingerprints of other messages by their ids: the last `most`."""

    def __init__(self, most: int = MOST_IDS) -> None:
        self._known: OrderedDict[int, int] = OrderedDict()
        self._most = most

    def swap(self, message_id: str, fingerprint: int) -> int:
        """Put this fingerprint where none is, as `ByNumber.swap`. Raises `ValueError` for an id
        that is not hexadecimal."""
        number = int(message_id, 16)
        known = self._known.get(number, 0)
        if known == 0:
            self._known[number] = fingerprint
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return known
