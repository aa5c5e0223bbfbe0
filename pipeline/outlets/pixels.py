"""The one way out of a stream's pixels behind the detector: through here, or not at all.

picture ─► PrivacyMask ─► PrivatePicture ─┬─► EvidenceRecorder: crops and pictures of events
                                          └─► drawn upon, in the threads of video sinks
"""

from dataclasses import dataclass

from pipeline.core.detections import Detections
from pipeline.core.frame import FrameInfo
from pipeline.core.picture import Picture
from pipeline.core.tracks import Tracks
from stages.evidence.recorder import EvidenceRecorder
from stages.evidence.ring import PacketRing
from stages.privacy import PrivacyMask, PrivatePicture


@dataclass(frozen=True, slots=True)
class Pixels:
    """The exit of one stream's pixels. `privacy` None: nobody is hidden; `recorder` None: no
    evidence is kept. The publish thread; any may read the fields."""

    privacy: PrivacyMask | None = None
    recorder: EvidenceRecorder | None = None

    @property
    def wanted(self) -> bool:
        """True if evidence may want the picture of any frame."""
        return self.recorder is not None and self.recorder.wants_pictures

    @property
    def ring(self) -> PacketRing | None:
        """The ring that keeps the stream's packets; None: nobody wants clips."""
        return self.recorder.ring if self.recorder is not None else None

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
        privacy, recorder = self.privacy, self.recorder
        if privacy is not None:
            privacy.see(info, detections, tracks)
        due = recorder is not None and recorder.due
        private = None
        if picture is not None and (draws or due):
            private = PrivatePicture(picture) if privacy is None else privacy.hide(picture)
        if recorder is not None:
            recorder.take(info, private.rgb() if private is not None and due else None)
        return private if draws else None

    def end(self, epoch: int | None = None) -> None:
        """Note that no more packets come for this epoch and those before; None: the stream is
        over."""
        if self.recorder is not None and epoch is None:
            self.recorder.end()
        if self.ring is not None:
            self.ring.end(epoch)
