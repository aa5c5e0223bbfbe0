"""Pictures and decoded frames on a GPU -> the network's input, as `Processing` does on the CPU.

Each pixel of the network's input is blended from four of the picture; those alone are read, and of
video those alone are converted to RGB. The result is within one grey level of OpenCV's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from detectors.letterbox import Transform
from detectors.yolo_nas.gpu.colour import Nv12
from detectors.yolo_nas.processing import Processing
from pipeline.core.arrays import U8

if TYPE_CHECKING:
    import torch

    Taps = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    Picture = torch.Tensor | Nv12

MOST_SIZES = 64  # picture sizes whose taps are kept; cameras have few


class GpuPreparation:
    """Fills batches of one network's input on one device. Called by one thread at a time."""

    def __init__(self, processing: Processing, device: torch.device) -> None:
        self._processing, self._device = processing, device
        self._taps: dict[tuple[int, int], Taps] = {}

    def upload(self, image: U8) -> torch.Tensor:
        """A picture (H, W, 3) uint8 RGB as a tensor of the device."""
        import torch

        whole = np.ascontiguousarray(image)
        if not whole.flags.writeable:  # torch has no tensors that are only read
            whole = whole.copy()
        return torch.from_numpy(whole).to(self._device, non_blocking=True)

    def fill(self, pictures: Sequence[Picture], out: torch.Tensor) -> list[Transform]:
        """B pictures, (H, W, 3) uint8 RGB or NV12, of any sizes, on the device -> `out`
        (B, 3, height, width) float32, and the way back of each one's boxes."""
        for channel, grey in enumerate(self._normalized(self._processing.letterbox.pad_value)):
            out[:, channel].fill_(grey)
        return [self._fill(one, row) for one, row in zip(pictures, out, strict=True)]

    def _fill(self, picture: Picture, out: torch.Tensor) -> Transform:
        """Resize, normalise and place one picture into `out` (3, height, width)."""
        height, width = picture.luma.shape if isinstance(picture, Nv12) else picture.shape[:2]
        transform, size = self._processing.letterbox.place(height, width)
        pixels = self._resized(picture, (height, width), size).movedim(-1, 0)
        if self._processing.color == "bgr":
            pixels = pixels.flip(0)
        top, left = transform.top, transform.left
        target = out[:, top : top + size[0], left : left + size[1]]
        for channel, mean, std in zip(
            range(3), self._processing.mean, self._processing.std, strict=True
        ):
            target[channel] = pixels[channel] * _f32(1 / std) - _f32(mean / std)
        return transform

    def _resized(
        self, picture: Picture, source: tuple[int, int], size: tuple[int, int]
    ) -> torch.Tensor:
        """The picture at `size`, (h, w, 3) float32 in whole grey levels."""
        upper, lower, down = self._taps_of(source[0], size[0])
        near, far, right = self._taps_of(source[1], size[1])
        across, along = right[None, :, None], down[:, None, None]

        def blended(rows: torch.Tensor) -> torch.Tensor:
            first, second = _at(picture, rows, near).float(), _at(picture, rows, far).float()
            return first + (second - first) * across

        above = blended(upper)
        return (above + (blended(lower) - above) * along + 0.5).floor_()

    def _taps_of(self, source: int, size: int) -> Taps:
        if (source, size) not in self._taps:
            if len(self._taps) >= MOST_SIZES:
                self._taps.clear()
            self._taps[source, size] = taps(source, size, self._device)
        return self._taps[source, size]

    def _normalized(self, level: int) -> list[float]:
        """A grey level in each of the network's channels."""
        pairs = zip(self._processing.mean, self._processing.std, strict=True)
        return [level * _f32(1 / std) - _f32(mean / std) for mean, std in pairs]


def taps(source: int, size: int, device: torch.device) -> Taps:
    """For each of `size` places along an axis of `source` pixels: the pixel before it, the one
    after it (int64), and the share of the latter (float32). OpenCV's rule for INTER_LINEAR: centres
    of pixels lie at a half, and edges are repeated."""
    import torch

    places = (np.arange(size) + 0.5) * (1 / (size / source)) - 0.5
    places = places.astype(np.float32).clip(0, source - 1)
    before = np.floor(places).astype(np.int64)
    after = np.minimum(before + 1, source - 1)
    share = (places - before).astype(np.float32)
    first, second, part = (torch.from_numpy(a).to(device) for a in (before, after, share))
    return first, second, part


def _at(picture: Picture, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    if isinstance(picture, Nv12):
        return picture.rgb_at(rows, columns)
    return picture[rows][:, columns]


def _f32(value: float) -> float:
    return float(np.float32(value))
