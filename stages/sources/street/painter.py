"""Sketches onto pixels: the picture, and beside it whose every pixel is."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.sources.street.camera import F64, I32, U8
from stages.sources.street.solid import Sketch

SHIFT = 4
SUB = 1 << SHIFT

U16 = NDArray[np.uint16]


def fixed(points: F64) -> I32:
    """Pixels -> the fixed-point integers that OpenCV draws from; pixel centres are whole."""
    return np.rint((points - 0.5) * SUB).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Cover:
    """A still thing that can hide others: its ground (4, 2), its window x0, y0, x1, y1 in the
    picture, and how much of each pixel there it covers, 0..1 (h, w, 1)."""

    footprint: F64
    window: tuple[int, int, int, int]
    alpha: NDArray[np.float32]

    def meets(self, box: F64) -> bool:
        x0, y0, x1, y1 = self.window
        return bool(box[0] < x1 and box[2] > x0 and box[1] < y1 and box[3] > y0)


class Painter:
    """Paints far to near. `image` is (H, W, 3) RGB; `owner` (H, W) holds the number of the
    nearest thing painted there, 0 for background."""

    def __init__(self, image: U8) -> None:
        self.image = image
        self.owner: U16 = np.zeros(image.shape[:2], dtype=np.uint16)

    def paint(self, sketch: Sketch, number: int) -> tuple[F64, int] | None:
        """Paints one thing; returns the box and area in pixels of its silhouette inside the
        picture, or None when nothing of it is."""
        if not sketch.polygons:
            return None
        counts = np.cumsum([len(polygon) for polygon in sketch.polygons])[:-1]
        points = np.concatenate(sketch.polygons)
        height, width = self.owner.shape
        x0, y0 = np.clip(np.floor(points.min(axis=0)) - 1, 0, (width, height)).astype(int).tolist()
        x1, y1 = np.clip(np.ceil(points.max(axis=0)) + 2, 0, (width, height)).astype(int).tolist()
        if x1 <= x0 or y1 <= y0:
            return None
        shapes = np.split(fixed(points - (x0, y0)), counts)
        window = np.ascontiguousarray(self.image[y0:y1, x0:x1])
        mask: U8 = np.zeros(window.shape[:2], dtype=np.uint8)
        for shape, colour, solid in zip(shapes, sketch.colours, sketch.solid, strict=True):
            cv2.fillConvexPoly(window, shape, colour, cv2.LINE_AA, SHIFT)
            if solid:
                cv2.fillConvexPoly(mask, shape, (1,), cv2.LINE_8, SHIFT)
        self.image[y0:y1, x0:x1] = window
        area = cv2.countNonZero(mask)
        if area == 0:
            return None
        self.owner[y0:y1, x0:x1][mask > 0] = number
        bx, by, bw, bh = cv2.boundingRect(mask)
        return np.array([x0 + bx, y0 + by, x0 + bx + bw, y0 + by + bh], dtype=np.float64), area

    def restore(self, still: U8, cover: Cover) -> None:
        """Lays a still thing, already part of the picture `still`, over what was painted."""
        x0, y0, x1, y1 = cover.window
        window = self.image[y0:y1, x0:x1]
        window[:] = window + (still[y0:y1, x0:x1] - window.astype(np.float32)) * cover.alpha
        self.owner[y0:y1, x0:x1][cover.alpha[..., 0] > 0.5] = 0

    def visible(self, count: int) -> F64:
        """(count + 1,) pixels that each number still owns."""
        seen = cv2.calcHist([self.owner], [0], None, [count + 1], [0, count + 1])
        return np.asarray(seen, dtype=np.float64).reshape(-1)


def far_to_near(footprints: F64, eye: F64) -> list[int]:
    """Painting order of convex footprints (N, 4, 2), corners in turn, seen from `eye` (2,).

    An edge that has all of another footprint on its outer side separates the two: the one on the
    eye's side of it is the nearer. Where nothing separates them, distance decides.
    """
    count = len(footprints)
    edges = np.roll(footprints, -1, axis=1) - footprints
    normals = np.stack([edges[..., 1], -edges[..., 0]], axis=-1)
    middle = footprints.mean(axis=1)
    inward = ((middle[:, None] - footprints) * normals).sum(-1) > 0
    normals[inward] *= -1
    offset = (footprints * normals).sum(-1)
    reach = np.einsum("iek,jck->iejc", normals, footprints).min(axis=3) - offset[:, :, None]
    apart = reach >= -1e-6
    outside = (normals @ eye - offset) > 0
    hides = (apart & ~outside[:, :, None]).any(axis=1) & ~(apart & outside[:, :, None]).any(axis=1)
    behind = (apart & outside[:, :, None]).any(axis=1) & ~(apart & ~outside[:, :, None]).any(axis=1)
    nearer = hides | behind.T
    nearer &= ~nearer.T
    distance = np.hypot(*(middle - eye).T)
    order: list[int] = []
    blockers = nearer.sum(axis=1).astype(int)
    far = np.where(np.isfinite(distance), distance, 0.0)
    for _ in range(count):
        ready = far - 1e6 * (blockers > 0)
        chosen = int(ready.argmax())
        order.append(chosen)
        far[chosen] = -1e12
        blockers -= nearer[:, chosen]
    return order
