"""Clips made on the spot, small and with known content."""

from pathlib import Path
from typing import Any

import pytest

from tests.stages.sources.clips import MakeClip, encode, encode_sound


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """Encodes a clip: `make_clip("a.mp4", 30, size=(64, 48), rate=25, faststart=True)`.

    `shift` moves all timestamps by so many frames (below 0: MP4 hides the first ones by an edit
    list), `created` is the container's creation time, `turn` the display rotation.
    """

    def make(name: str, frames: int = 30, **settings: Any) -> Path:
        return encode(tmp_path / name, frames, **settings)

    return make


@pytest.fixture
def sound_only(tmp_path: Path) -> Path:
    """An MP4 with a second of silence and no picture."""
    return encode_sound(tmp_path / "sound.mp4")
