"""What becomes of one stream's pixels behind the detector. They leave through here, or not at all.

picture ─► Shade (privacy) ─► private picture ─┬─► Desk: crops and pictures of events
                                               └─► drawn upon: video sinks
"""

from dataclasses import dataclass

from pipeline.core.arrays import U8
from pipeline.core.detections import Detections
from pipeline.core.frame import FrameInfo
from pipeline.core.picture import Picture
from pipeline.core.tracks import Tracks
from stages.evidence.desk import Desk
from stages.evidence.ring import PacketRing
from stages.privacy import Shade


@dataclass(frozen=True, slots=True)
class Pixels:
    """`shade` None: nobody is hidden. `desk` None: no evidence is kept. The publish thread; what it
    is made of may be read by any."""

    shade: Shade | None = None
    desk: Desk | None = None

    @property
    def wanted(self) -> bool:
        """Whether evidence may want the picture of any frame."""
        return self.desk is not None and self.desk.wants_pictures

    @property
    def ring(self) -> PacketRing | None:
        """Where the stream's packets are kept; None: nobody wants clips."""
        return self.desk.ring if self.desk is not None else None

    def publish(
        self,
        info: FrameInfo,
        picture: Picture | None,
        detections: Detections,
        tracks: Tracks,
        *,
        draws: bool,
    ) -> U8 | None:
        """The frame's events are told: evidence gets its picture. Returns the private picture to be
        drawn upon, None without `draws`. `picture` is None where nobody wanted it; it becomes RGB
        only where something is made of it."""
        shade, desk = self.shade, self.desk
        if shade is not None:
            shade.see(info, detections, tracks)
        private = None
        if picture is not None and (draws or (desk is not None and desk.due)):
            image = picture.rgb()
            private = image if shade is None else shade.hide(image)
        if desk is not None:
            desk.take(info, private)
        return private if draws else None

    def end(self, epoch: int | None = None) -> None:
        """No more packets will come for this epoch and those before; None: the stream is over."""
        if self.ring is not None:
            self.ring.end(epoch)
