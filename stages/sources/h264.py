"""Lost pictures of H.264, told by the numbers that the standard gives them.

FFmpeg puts a copy of the picture before in place of one that is missing, decodes the next ones on
top of it, and marks none of them. Nothing of that may pass for a picture of the camera.

Source: ITU-T H.264 (08/2021), sections 7.3.2.1.1, 7.3.3 and 7.4.3.
"""

import re
from typing import Final

_START: Final = re.compile(b"\x00\x00\x01")
_HEAD_BYTES: Final = 4096  # parameter sets and SEI come before the first slice
_HIGH_PROFILES: Final = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_SLICE, _IDR_SLICE, _SPS = 1, 5, 7


class _Bits:
    """Reads a NAL unit bit by bit. Raises `IndexError` at its end."""

    def __init__(self, unit: bytes) -> None:
        self._data = unit.replace(b"\x00\x00\x03", b"\x00\x00")  # emulation prevention
        self._place = 0

    def bits(self, count: int) -> int:
        value = 0
        for _ in range(count):
            byte = self._data[self._place >> 3]
            value = value << 1 | byte >> (7 - (self._place & 7)) & 1
            self._place += 1
        return value

    def unsigned(self) -> int:
        """ue(v), section 9.1."""
        zeros = 0
        while self.bits(1) == 0:
            zeros += 1
        return (1 << zeros) - 1 + self.bits(zeros)

    def signed(self) -> int:
        """se(v), section 9.1.1."""
        code = self.unsigned()
        return (code + 1) // 2 if code & 1 else -(code // 2)


class FrameNumbers:
    """Sees the packets of one stream in Annex B form, in the order they are decoded."""

    def __init__(self, extradata: bytes = b"") -> None:
        self._number_bits: int | None = None
        self._planes_apart = self._gaps_allowed = False
        self._last: int | None = None
        self.lost(extradata)

    def lost(self, packet: bytes) -> bool:
        """True if a picture that others may refer to is missing before this one."""
        head = packet[:_HEAD_BYTES]
        for unit in _START.split(head)[1:]:
            try:
                slice_lost = self._see(unit)
            except IndexError:  # cut off or damaged: the decoder will tell
                continue
            if slice_lost is not None:
                return slice_lost
        return False

    def _see(self, unit: bytes) -> bool | None:
        """None: it is no slice."""
        kind = unit[0] & 31
        if kind == _SPS:
            self._read_parameters(_Bits(unit[1:]))
            return None
        if kind not in (_SLICE, _IDR_SLICE) or self._number_bits is None:
            return None
        bits = _Bits(unit[1:32])
        for _ in range(3):  # first_mb_in_slice, slice_type, pic_parameter_set_id
            bits.unsigned()
        if self._planes_apart:
            bits.bits(2)
        number = bits.bits(self._number_bits)
        last, most = self._last, 1 << self._number_bits
        if kind == _IDR_SLICE or unit[0] >> 5 or last is None:
            self._last = number
        if kind == _IDR_SLICE or last is None or self._gaps_allowed:
            return False
        return number not in (last, (last + 1) % most)

    def _read_parameters(self, bits: _Bits) -> None:
        profile = bits.bits(8)
        bits.bits(16)
        bits.unsigned()
        planes_apart = False
        if profile in _HIGH_PROFILES:
            chroma = bits.unsigned()
            planes_apart = chroma == 3 and bool(bits.bits(1))
            bits.unsigned()
            bits.unsigned()
            bits.bits(1)
            if bits.bits(1):
                _skip_scaling_lists(bits, 12 if chroma == 3 else 8)
        number_bits = bits.unsigned() + 4
        _skip_order_counts(bits)
        bits.unsigned()
        self._gaps_allowed = bool(bits.bits(1))
        self._number_bits, self._planes_apart = number_bits, planes_apart


def _skip_scaling_lists(bits: _Bits, lists: int) -> None:
    for place in range(lists):
        if not bits.bits(1):
            continue
        last = following = 8
        for _ in range(16 if place < 6 else 64):
            if following:
                following = (last + bits.signed()) % 256
            last = following or last


def _skip_order_counts(bits: _Bits) -> None:
    kind = bits.unsigned()
    if kind == 0:
        bits.unsigned()
    elif kind == 1:
        bits.bits(1)
        bits.signed()
        bits.signed()
        for _ in range(bits.unsigned()):
            bits.signed()
