"""The one way out of a stream's pixels behind the detector: through here, or not at all.

picture ─► Shade (privacy) ─► PrivatePicture ─┬─► Desk: crops and pictures of events
                                              └─► drawn upon, in the threads of video sinks
"""

from dataclasses import dataclass

from pipeline.core.detections import Detections
from pipeline.core.frame import FrameInfo
from pipeline.core.picture import Picture
from pipeline.core.tracks import Tracks
from stages.evidence.desk import EvidenceRecorder
from stages.evidence.ring import PacketRing
from stages.privacy import PrivatePicture, Shade


@dataclass(frozen=True, slots=True)
class Pixels:
    """The exit of one stream's pixels. `shade` None: nobody is hidden; `desk` None: no evidence is
    kept. The publish thread; any may read the fields."""

    shade: Shade | None = None
    desk: EvidenceRecorder | None = None

    @property
    def wanted(self) -> bool:
        """True if evidence may want the picture of any frame."""
        return self.desk is not None and self.desk.wants_pictures

    @property
    def ring(self) -> PacketRing | None:
        """The ring that keeps the stream's packets; None: nobody wants clips."""
        return self.desk.ring if self.desk is not None else None

    def publish(
        self,
        info: FrameInfo,
        picture: Picture | None,
        detections: Detections,
        tracks: Tracks,
        *,
        draws: bool,
    ) -> PrivatePicture | None:
        """Give evidence the frame's picture, once its events are told -> the private picture to be
        drawn upon, None without `draws`. `picture` is None where nobody wanted it; its pixels are
        made here only for evidence, else in the thread of whoever draws."""
        shade, desk = self.shade, self.desk
        if shade is not None:
            shade.see(info, detections, tracks)
        due = desk is not None and desk.due
        private = None
        if picture is not None and (draws or due):
            private = PrivatePicture(picture) if shade is None else shade.hide(picture)
        if desk is not None:
            desk.take(info, private.rgb() if private is not None and due else None)
        return private if draws else None

    def end(self, epoch: int | None = None) -> None:
        """Note that no more packets come for this epoch and those before; None: the stream is
        over."""
        if self.desk is not None and epoch is None:
            self.desk.end()
        if self.ring is not None:
            self.ring.end(epoch)
