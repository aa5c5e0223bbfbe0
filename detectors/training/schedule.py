"""What changes over a run, as pure functions of the pictures seen. No torch here."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.core.errors import ConfigError

LARGEST_SIDE_PX = 4096


@dataclass(frozen=True, slots=True)
class Schedule:
    """A budget of `total` pictures and what it means for learning rate, resolution, augmentation.

    `sizes_px` are (progress, size) steps: from that share of the run on, pictures have that size.
    From `calm_from` on, augmentation is weak. Warm-up starts at `first_lr`. `total` may be changed
    when a run is resumed.
    """

    total: int
    lr: float = 2e-3
    final_lr_share: float = 0.05
    warmup: int = 16_000
    sizes_px: tuple[tuple[float, int], ...] = ((0.0, 256), (0.6, 320))
    calm_from: float = 0.85
    first_lr: float = 0.0

    def __post_init__(self) -> None:
        for name, least, most in (
            ("total", 1, math.inf),
            ("lr", 0, math.inf),
            ("first_lr", 0, math.inf),
            ("final_lr_share", 0, 1),
            ("warmup", 0, math.inf),
            ("calm_from", 0, 1),
        ):
            value = getattr(self, name)
            if not (least <= value <= most and math.isfinite(value)):
                raise ConfigError(name, f"must be a number from {least} to {most}, got {value}")
        if not self.sizes_px or any(side > LARGEST_SIDE_PX for _, side in self.sizes_px):
            raise ConfigError("sizes", f"sides are at most {LARGEST_SIDE_PX}, got {self.sizes_px}")

    def progress(self, seen: int) -> float:
        """Share of the run in [0, 1] after `seen` pictures."""
        return min(seen / self.total, 1.0)

    def lr_at(self, seen: int) -> float:
        """Linear warm-up over `warmup` pictures, then half a cosine to `final_lr_share` of `lr`."""
        if seen < self.warmup:
            return self.first_lr + (self.lr - self.first_lr) * (seen + 1) / self.warmup
        left = max(self.total - self.warmup, 1)
        return cosine_lr(self.lr, min(seen - self.warmup, left), left, self.final_lr_share)

    def size_at(self, seen: int) -> int:
        """Side in pixels of the square pictures of the batch that starts after `seen` pictures."""
        return [size for start, size in self.sizes_px if self.progress(seen) >= start][-1]

    @property
    def final_px(self) -> int:
        """Side in pixels at the end of the run, at which the network will be used."""
        return self.sizes_px[-1][1]

    def calm_at(self, seen: int) -> bool:
        """Whether augmentation is weak by now."""
        return self.progress(seen) >= self.calm_from


def cosine_lr(initial: float, step: int, steps: int, final_share: float) -> float:
    """`initial` at step 0, `final_share * initial` at step `steps`, half a cosine between."""
    cosine = 0.5 * (1.0 + math.cos(math.pi * step / steps))
    return initial * ((1.0 - final_share) * cosine + final_share)


def ema_decay(step: int, limit: float) -> float:
    """Decay of a moving average, threshold form: short memory at first, `limit` in the end."""
    return min(limit, (1 + step) / (10 + step))
