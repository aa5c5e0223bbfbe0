"""A grid of seconds as a picture: colours over a background, and a scale."""

import io
import json
from typing import Final, cast

import cv2
import numpy as np

from pipeline.core.arrays import F64, U8
from sinks.tracks.dwell import DwellGrid

_LONGEST_SIDE_PX: Final = 960
_SCALE_PX: Final = 96
_QUANTILE: Final = 0.99
_INK: Final = (235, 235, 235)
_PAPER: Final = (24, 24, 24)
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX


def draw_heat(grid: DwellGrid, background: U8 | None = None) -> bytes:
    """A PNG. Colours end at the 99th percentile of the cells in which anybody was, so that one who
    never left does not darken all else. `background` (H, W, 3) BGR lies under a picture's grid. A
    plane is shown from above, y upwards, with its bounds in metres."""
    cells, first = grid.trimmed()
    used = cells[cells > 0]
    top_s = float(np.quantile(used, _QUANTILE)) if used.size else 0.0
    canvas = _canvas(grid, cells, background)
    height, width = canvas.shape[:2]
    shown = cells if grid.coordinates == "picture" else cells[::-1]
    if used.size:
        wide = _enlarged(grid, shown, width, height)
        share = np.minimum(wide / top_s, 1)
        colours = _coloured(share)
        weight = np.where(wide > 0, 0.35 + 0.5 * share, 0)[:, :, None]
        canvas = np.asarray(canvas * (1 - weight) + colours * weight, np.uint8)
    strip = _scale(height, top_s, bool(used.size) and float(used.max()) > top_s)
    if grid.coordinates != "picture" and used.size:
        _bounds(canvas, grid, cells, first)
    return _png(np.hstack([canvas, strip]))


def raw_csv(grid: DwellGrid) -> bytes:
    """The middle of every cell in which anybody was, and the seconds in it."""
    unit = "px" if grid.coordinates == "picture" else "m"
    lines = [f"x_{unit},y_{unit},dwell_s"]
    for row, column in np.argwhere(grid.seconds > 0).tolist():
        x = (column + grid.first[0] + 0.5) * grid.cell
        y = (row + grid.first[1] + 0.5) * grid.cell
        lines.append(f"{x:.6g},{y:.6g},{grid.seconds[row, column]:.3f}")
    return ("\n".join(lines) + "\n").encode()


def raw_npy(grid: DwellGrid) -> tuple[bytes, bytes]:
    """The cells as float32 seconds in NumPy's format, and as JSON what they are: `first` is column
    and row of cell [0, 0] in steps of `cell` from (0, 0)."""
    cells, first = grid.trimmed()
    file = io.BytesIO()
    np.save(file, cells.astype(np.float32))
    about = {
        "coordinates": grid.coordinates,
        "unit": "px" if grid.coordinates == "picture" else "m",
        "cell": grid.cell,
        "first": list(first),
        "outside_s": round(grid.outside_s, 3),
    }
    return file.getvalue(), json.dumps(about).encode() + b"\n"


def _canvas(grid: DwellGrid, cells: F64, background: U8 | None) -> U8:
    if grid.coordinates == "picture":
        width, height = grid.size or (_LONGEST_SIDE_PX, _LONGEST_SIDE_PX)
        if background is not None:
            return cast(U8, cv2.resize(background, (width, height), interpolation=cv2.INTER_AREA))
    else:
        rows, columns = max(cells.shape[0], 1), max(cells.shape[1], 1)
        step = max(_LONGEST_SIDE_PX // max(rows, columns), 1)
        width, height = max(columns * step, 64), max(rows * step, 64)
    return np.full((height, width, 3), _PAPER, np.uint8)


def _enlarged(grid: DwellGrid, cells: F64, width: int, height: int) -> F64:
    """Every pixel the value of its cell."""
    if grid.coordinates == "picture":
        columns = (np.arange(width) / grid.cell).astype(int)
        rows = (np.arange(height) / grid.cell).astype(int)
    else:
        columns = np.arange(width) * cells.shape[1] // width
        rows = np.arange(height) * cells.shape[0] // height
    enlarged: F64 = cells[np.ix_(rows, columns)]
    return enlarged


def _coloured(share: F64) -> U8:
    grey = np.asarray(np.rint(share * 255), np.uint8)
    return cast(U8, cv2.applyColorMap(grey, cv2.COLORMAP_TURBO))


def _scale(height: int, top_s: float, more: bool) -> U8:
    strip = np.full((height, _SCALE_PX, 3), _PAPER, np.uint8)
    above, below = 24, height - 12
    bar = np.linspace(1, 0, max(below - above, 2))[:, None].repeat(14, axis=1)
    strip[above : above + len(bar), 8:22] = _coloured(bar)[: height - above]
    for share in (0.0, 0.5, 1.0):
        y = round(below - share * (below - above))
        sign = ">= " if more and share == 1 else ""
        _write(strip, f"{sign}{_seconds(share * top_s)}", (28, min(y + 4, height - 4)))
    _write(strip, "stay", (8, 14))
    return strip


def _bounds(canvas: U8, grid: DwellGrid, cells: F64, first: tuple[int, int]) -> None:
    left, low = (step * grid.cell for step in first)
    right = left + cells.shape[1] * grid.cell
    high = low + cells.shape[0] * grid.cell
    _write(canvas, f"{left:g}, {low:g} m", (4, canvas.shape[0] - 6))
    text = f"{right:g}, {high:g} m"
    (width, _), _ = cv2.getTextSize(text, _FONT, 0.4, 1)
    _write(canvas, text, (max(canvas.shape[1] - width - 4, 0), 14))


def _write(canvas: U8, text: str, at: tuple[int, int]) -> None:
    cv2.putText(canvas, text, at, _FONT, 0.4, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(canvas, text, at, _FONT, 0.4, _INK, 1, cv2.LINE_AA)


def _seconds(value_s: float) -> str:
    return f"{value_s / 60:.3g} min" if value_s >= 120 else f"{value_s:.3g} s"


def _png(image: U8) -> bytes:
    done, encoded = cv2.imencode(".png", image)
    if not done:
        raise ValueError(f"heat map of {image.shape} cannot be encoded")
    return bytes(encoded)
