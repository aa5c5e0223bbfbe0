"""Whole clips, tiny and of known kinds, for `mutate` to damage."""

from collections.abc import Mapping
from fractions import Fraction
from io import BytesIO
from typing import Final

import av

from tests.stages.sources.clips import scene

WIDTH, HEIGHT, FRAMES, RATE = 64, 48, 30, 25
_X265: Final = "keyint=10:bframes=2:log-level=none:pools=none:frame-threads=1"
_OPTIONS: Final[Mapping[str, dict[str, str]]] = {
    "libx264": {"g": "10", "bf": "2", "preset": "ultrafast", "threads": "1"},
    "libx265": {"preset": "ultrafast", "x265-params": _X265},
}
KINDS: Final[Mapping[str, tuple[str, str]]] = {
    "h264": ("libx264", "h264"),
    "hevc": ("libx265", "hevc"),
    "h264.ts": ("libx264", "mpegts"),
    "hevc.ts": ("libx265", "mpegts"),
    "h264.mp4": ("libx264", "mp4"),
    "hevc.mp4": ("libx265", "mp4"),
}
"""Name -> (encoder, container). The first two are bare bit streams, as a camera sends them."""


def clips() -> dict[str, bytes]:
    """One clip of each kind, the same bytes at every call on one version of the encoders."""
    return {kind: _encode(*how) for kind, how in KINDS.items()}


def _encode(codec: str, container_format: str) -> bytes:
    file = BytesIO()
    with av.open(file, "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=RATE, options=dict(_OPTIONS[codec]))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(scene(index, WIDTH, HEIGHT), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()
