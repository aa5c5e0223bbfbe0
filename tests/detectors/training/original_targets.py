"""The boxes of a reference file as `Targets`."""

import torch

from detectors.training.assign import Targets
from pipeline.core.arrays import AnyArray


def original_targets(rows: AnyArray) -> Targets:
    """From (G, 6) rows: image, class, centre x, centre y, width, height, in pixels."""
    table = torch.from_numpy(rows)
    table = table[torch.argsort(table[:, 0], stable=True)]
    centre, half = table[:, 2:4], table[:, 4:6] / 2
    xyxy = torch.cat([centre - half, centre + half], 1)
    return Targets(table[:, 0].long(), table[:, 1].long(), xyxy)
