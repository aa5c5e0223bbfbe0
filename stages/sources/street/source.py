"""The synthetic street as a stream: drawn, encoded to H.264, and decoded like any other file."""

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from pipeline.core.clock import Clock, SystemClock
from pipeline.core.frame import Frame
from stages.base import Counts
from stages.sources.file import FileSource
from stages.sources.reading import Reading
from stages.sources.street.encode import write_video
from stages.sources.street.mood import Light
from stages.sources.street.scene import StreetScene
from stages.sources.street.views import View


class StreetSource:
    """A drawn street as a `Source` of `seconds` of video. The same arguments give the same frames.

    `frames` first draws and encodes the whole video, about as long as it lasts on one core.
    """

    live = False

    def __init__(
        self,
        stream_id: str,
        *,
        seed: int = 0,
        seconds: float = 20.0,
        fps: float = 12.5,
        width: int = 960,
        height: int = 540,
        view: View = "street",
        light: Light = "day",
        epoch: int = 0,
        first_seq: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self.frame_count: int | None = max(1, round(seconds * fps))
        self.counts = Counts()
        self._stream_id = stream_id
        self._scene = StreetScene(
            seed, width, height, fps, self.frame_count, view=view, light=light
        )
        self._reading = Reading(epoch=epoch, first_seq=first_seq, clock=clock or SystemClock())
        self._stopped = threading.Event()
        self._file: FileSource | None = None

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`."""
        with tempfile.TemporaryDirectory(prefix="eyrie-street-") as folder:
            path = Path(folder) / "street.mp4"
            write_video(self._scene, path, stopped=self._stopped)
            self._file = FileSource(self._stream_id, path, self._reading)
            self._file.counts = self.counts
            if not self._stopped.is_set():
                yield from self._file.frames()

    def close(self) -> None:
        """See `Source.close`. While the video is being drawn, it takes effect after a frame."""
        self._stopped.set()
        if self._file is not None:
            self._file.close()
