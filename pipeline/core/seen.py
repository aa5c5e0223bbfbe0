"""The findings in pixels that the tracker gets beside the detections."""

from dataclasses import dataclass

from pipeline.core.arrays import F32, F64


@dataclass(frozen=True, slots=True)
class FrameFeatures:
    """The findings of a `Looker` about one frame.

    - `camera_motion` (2, 3) float64 affine: source pixels of the stream's frame that was looked at
      before -> source pixels of this one. None: unknown, or the camera stands still for certain.
    - `features` (N, D) float32: the appearance of each of the frame's N detections. None: none is
      computed.
    """

    camera_motion: F64 | None = None
    features: F32 | None = None
