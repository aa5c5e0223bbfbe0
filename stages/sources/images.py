"""Pictures as a stream: a folder of them in order of their names, or a single one."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.core.arrays import U8
from pipeline.core.clock import SECOND_NS, Clock, SystemClock
from pipeline.core.errors import DecodeError, SourceUnavailable
from pipeline.core.frame import Frame, FrameInfo
from pipeline.core.log import get_logger
from pipeline.core.picture import RgbPicture
from pipeline.core.picture_files import PICTURE_SUFFIXES, Unreadable, files_in, read_picture
from stages.base import Counts

log = get_logger(__name__)

SMALLEST_SIDE_PX: Final = 2


def _read(path: Path) -> U8:
    """(height, width, 3) uint8 RGB. Raises `Unreadable`."""
    image = read_picture(path)
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST_SIDE_PX:
        raise Unreadable(f"{width}x{height} pixels are too few to show anything")
    return image


class ImageFolderSource:
    """The pictures of a folder, or one picture, as a `Source` of `fps` pictures a second of media.

    Time goes on over a picture that cannot be read: it is named in a WARNING, counted in
    `counts.corrupt_total`, and takes no `seq`. `DecodeError` if none can be read. Capture times are
    modification times of the files.
    """

    live = False

    def __init__(
        self,
        stream_id: str,
        folder: str | Path,
        *,
        fps: float = 1.0,
        epoch: int = 0,
        first_seq: int = 0,
        clock: Clock | None = None,
    ) -> None:
        if not fps > 0:
            raise ValueError(f"fps must be above 0, not {fps}")
        self.stream_id = stream_id
        self.path = Path(folder)
        self.frame_count: int | None = None
        self.counts = Counts()
        self._period_ns = round(SECOND_NS / fps)
        self._epoch, self._first_seq = epoch, first_seq
        self._clock = clock or SystemClock()
        self._stopped = threading.Event()

    def frames(self) -> Iterator[Frame]:
        """See `Source.frames`."""
        paths = self._paths()
        self.frame_count = len(paths)
        reason = ""
        for place, path in enumerate(paths):
            if self._stopped.is_set():
                return
            try:
                image, written_ns = _read(path), path.stat().st_mtime_ns
            except (Unreadable, FileNotFoundError) as error:
                reason = reason or f"{path}: {error}"
                self._leave_out(path, error)
                continue
            yield self._frame(place, image, written_ns)
        if self.counts.decoded_total == 0:
            which = "the picture" if len(paths) == 1 else f"none of {len(paths)} pictures"
            verb = "cannot" if len(paths) == 1 else "can"
            raise DecodeError(self.stream_id, f"{which} {verb} be read: {reason}")

    def close(self) -> None:
        """See `Source.close`."""
        self._stopped.set()

    def _paths(self) -> list[Path]:
        if self.path.is_file():
            return [self.path]
        try:
            paths = files_in(self.path, PICTURE_SUFFIXES)
        except FileNotFoundError:
            raise SourceUnavailable(self.stream_id, f"{self.path} does not exist") from None
        except OSError as error:
            why = f"{self.path} cannot be read: {error.strerror}"
            raise SourceUnavailable(self.stream_id, why) from error
        if not paths:
            kinds = " ".join(sorted(PICTURE_SUFFIXES))
            raise DecodeError(self.stream_id, f"no pictures ({kinds}) in the folder {self.path}")
        return paths

    def _leave_out(self, path: Path, why: Exception) -> None:
        self.counts.corrupt_total += 1
        assert self.frame_count is not None
        self.frame_count -= 1
        log.warning("stream %r: %s left out: %s", self.stream_id, path, why)

    def _frame(self, place: int, image: U8, written_ns: int) -> Frame:
        seq = self._first_seq + self.counts.decoded_total
        self.counts.decoded_total += 1
        height, width, _ = image.shape
        info = FrameInfo(
            stream_id=self.stream_id,
            epoch=self._epoch,
            seq=seq,
            pts_ns=place * self._period_ns,
            captured_ns=written_ns,
            arrived_ns=self._clock.utc_ns(),
            clock="file",
            uncertainty_ns=SECOND_NS,
            width=width,
            height=height,
        )
        return Frame(info, RgbPicture(image))
