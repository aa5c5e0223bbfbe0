"""People made unrecognisable in pictures, before anything that leaves is made of them.

It fails towards hiding: every box that may be a person counts, also of a low score and without a
track, and who is missed for a moment is hidden where he should be by now.
"""

import math
import threading
from collections.abc import Iterable, Sequence
from typing import Final, Literal

import cv2
import numpy as np

from pipeline.core.arrays import F64, U8, Bool
from pipeline.core.boxes import iou_matrix
from pipeline.core.detections import Detections
from pipeline.core.frame import FrameInfo
from pipeline.core.picture import Picture
from pipeline.core.tracks import Tracks

Region = tuple[int, int, int, int]
"""Left, top, right, bottom in whole pixels, the latter two exclusive."""
Hidden = Literal["persons", "faces"]

LEAST_SCORE: Final = 0.1
"""The score that a detector must find at least, so that what it is unsure of is hidden too."""
PERSONS: Final = frozenset(
    {"person", "people", "pedestrian", "rider", "cyclist", "man", "woman", "child", "face", "head"}
)
"""Classes whose boxes show somebody. Compared in lower case."""
HOLD_S: Final = 1.5
"""The time for which a person that is not found any more is still hidden."""
SURE_SCORE: Final = 0.25
HOLD_UNSURE_S: Final = 0.4
"""The same for what never had a track nor scored `SURE_SCORE`: such boxes come and go everywhere,
and held for longer they would hide half of the picture."""
FASTEST_PER_S: Final = 3.0
"""The speed, in longer sides of its box, above which it is another box: a cyclist at 18 km/h."""
SAME_IOU: Final = 0.3
GROWTH_PER_S: Final = 0.3
"""The share of its height by which a box that is only remembered grows on each side: a walk of 1.4
m/s of a person of 1.7 m, less what its known velocity tells."""
MARGIN: Final = 0.08
"""The margin on each side, as a share of the box's height: a box may well cut off hair and
hands."""
CELLS: Final = 8
"""The number of cells along the longer side of a hidden region: a head in it has two or three."""
SMALLEST_CELL_PX: Final = 6
MOST_BOXES: Final = 1000
"""Beyond it, the whole picture is hidden."""
UPRIGHT: Final = 1.2
"""Below this height by width, a person may lie, or be seen close: all of the box may be a face."""


def person_classes(labels: Sequence[str]) -> frozenset[int]:
    """The class ids of a detector that show somebody; empty: it knows no people."""
    return frozenset(i for i, label in enumerate(labels) if label.lower() in PERSONS)


class PrivatePicture:
    """A picture of which only private pixels can be had: each of `regions` is a mosaic. Any thread.

    The pixels are made when somebody asks first, in his thread, and kept; until then it holds the
    decoder's picture, and nothing but this hands that out.
    """

    __slots__ = ("_guard", "_pixels", "_regions")

    def __init__(self, picture: Picture, regions: Sequence[Region] = ()) -> None:
        self._pixels: Picture | U8 = picture
        self._regions = regions
        self._guard = threading.Lock()  # two sinks may draw the same picture

    def rgb(self) -> U8:
        """(height, width, 3) uint8 RGB, read-only by custom: whoever draws, draws on a copy. At
        1080p the first call takes some milliseconds."""
        with self._guard:
            if not isinstance(self._pixels, np.ndarray):
                self._pixels = _without(self._pixels.rgb(), self._regions)
            return self._pixels


class PrivacyMask:
    """The mask of people in the pictures of one stream. One caller, frame after frame.

    `persons`: all of each box. `faces`: the part of it where an upright person has the head; it is
    no detector of faces, so a head that is elsewhere, as of somebody bent down, shows.
    """

    def __init__(self, hidden: Hidden, person_classes: Iterable[int]) -> None:
        self._faces_only = hidden == "faces"
        self._classes = np.array(sorted(person_classes), np.int32)
        self._epoch: int | None = None
        self._at_s = 0.0
        self._boxes: F64 = np.empty((0, 4))
        self._speed: F64 = np.empty((0, 2))
        self._unseen_s: F64 = np.empty(0)
        self._hold_s: F64 = np.empty(0)

    def see(self, info: FrameInfo, detections: Detections, tracks: Tracks) -> None:
        """The next frame, all that was found in it, and its tracks, also predicted ones. To be
        called for every frame, whether or not its picture is wanted."""
        now_s = info.pts_ns / 1e9
        if info.epoch != self._epoch:
            self._epoch, self._at_s = info.epoch, now_s
            self._remember(np.empty((0, 4)), np.empty((0, 2)), np.empty(0), np.empty(0))
        step_s, self._at_s = max(now_s - self._at_s, 0.0), now_s
        boxes, hold_s = self._people(detections, tracks)
        expected = self._boxes + np.tile(self._speed, 2) * step_s
        overlap = iou_matrix(expected, boxes)
        speed, hold_s = self._continued(boxes, hold_s, overlap, step_s)
        unseen_s = self._unseen_s + step_s
        kept = ~_found(overlap) & (unseen_s <= self._hold_s)
        grown = _grown(expected[kept], GROWTH_PER_S * step_s)
        self._remember(
            np.concatenate([boxes, grown]),
            np.concatenate([speed, self._speed[kept]]),
            np.concatenate([np.zeros(len(boxes)), unseen_s[kept]]),
            np.concatenate([hold_s, self._hold_s[kept]]),
        )

    def hide(self, picture: Picture) -> PrivatePicture:
        """The picture of the frame that was seen last, without the people. No pixel is touched
        before somebody asks for them."""
        return PrivatePicture(picture, self.regions(picture.width, picture.height))

    def regions(self, width: int, height: int) -> list[Region]:
        """The regions that are hidden in a picture of this size in px."""
        boxes = self._boxes
        if len(boxes) > MOST_BOXES:
            return [(0, 0, width, height)]
        if self._faces_only:
            boxes = _heads(boxes)
        boxes = _grown(boxes, MARGIN)
        low = np.clip(np.floor(boxes[:, :2]), 0, (width, height)).astype(int)
        high = np.clip(np.ceil(boxes[:, 2:]), 0, (width, height)).astype(int)
        inside = (high > low).all(axis=1)
        return [(x, y, u, v) for x, y, u, v in np.hstack([low, high])[inside].tolist()]

    def _people(self, detections: Detections, tracks: Tracks) -> tuple[F64, F64]:
        """Boxes (N, 4) of all that may be people, and (N,) for how long each is hidden when it is
        not found any more. What is not finite is no box."""
        of_people = np.isin(detections.class_id, self._classes)
        index = tracks.detection_index
        same = np.isin(index, np.flatnonzero(of_people))  # their boxes are those of detections
        tracked = np.isin(tracks.class_id, self._classes) & ~same
        boxes = np.concatenate([detections.xyxy[of_people], tracks.xyxy[tracked]]).astype(float)
        sound = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        sure = detections.score >= SURE_SCORE
        sure[index[index >= 0]] = True
        hold_s = np.where(np.append(sure[of_people], tracked[tracked]), HOLD_S, HOLD_UNSURE_S)
        return boxes[sound], hold_s[sound]

    def _continued(self, boxes: F64, hold_s: F64, overlap: F64, step_s: float) -> tuple[F64, F64]:
        """Pixels a second (N, 2) of each box's centre since the remembered box that it continues,
        half of it as before, 0 for one that continues none; and its `hold_s`, or that one's."""
        speed = np.zeros((len(boxes), 2))
        if not overlap.size or step_s <= 0:
            return speed, hold_s
        best = overlap.argmax(axis=0)
        continues = overlap.max(axis=0) > SAME_IOU
        moved = (_centres(boxes) - _centres(self._boxes[best])) / step_s
        fastest = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) * FASTEST_PER_S
        smooth = np.clip((moved + self._speed[best]) / 2, -fastest, fastest)
        speed[continues] = smooth[continues]
        return speed, np.where(continues, np.maximum(hold_s, self._hold_s[best]), hold_s)

    def _remember(self, boxes: F64, speed: F64, unseen_s: F64, hold_s: F64) -> None:
        kept = slice(MOST_BOXES + 1)
        self._boxes, self._speed = boxes[kept], speed[kept]
        self._unseen_s, self._hold_s = unseen_s[kept], hold_s[kept]


def _found(overlap: F64) -> Bool:
    """(R,) which remembered boxes are seen in this frame, of overlaps (R, N). A box stands for one
    of them, that it overlaps most: who is behind him stays hidden."""
    found = np.zeros(len(overlap), np.bool_)
    if overlap.size:
        found[overlap.argmax(axis=0)[overlap.max(axis=0) > SAME_IOU]] = True
    return found


def _centres(boxes: F64) -> F64:
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _grown(boxes: F64, share: float) -> F64:
    """By a share of their longer side, on each side."""
    by = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True, initial=0) * share
    return np.hstack([boxes[:, :2] - by, boxes[:, 2:] + by])


def _heads(boxes: F64) -> F64:
    """Where the heads of upright persons are: at the top, as wide as the box, and three tenths of
    its height, or nine tenths of its width where that is more, as for one who sits or is cut off by
    the edge of the picture."""
    heads = boxes.copy()
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    tall = np.maximum(0.3 * height, 0.9 * width)
    tall = np.where(height < UPRIGHT * width, height, tall)
    heads[:, 3] = boxes[:, 1] + np.minimum(tall, height)
    return heads


def _without(image: U8, regions: Sequence[Region]) -> U8:
    """A copy of the picture in which these are hidden; the picture itself where there are none."""
    if not regions:
        return image
    hidden = image.copy()
    for left, top, right, bottom in regions:
        _pixelate(hidden[top:bottom, left:right])
    return hidden


def _pixelate(region: U8) -> None:
    """Each cell gets its average colour, in place."""
    height, width = region.shape[:2]
    cell = max(math.ceil(max(height, width) / CELLS), SMALLEST_CELL_PX)
    cells = (max(1, round(width / cell)), max(1, round(height / cell)))
    small = cv2.resize(region, cells, interpolation=cv2.INTER_AREA)
    region[:] = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
