"""Pictures to files, and files to the eyes of the user."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import cv2
import numpy as np

from detectors.yolo_nas.predict.inputs import InputError
from pipeline.core.arrays import U8
from pipeline.core.log import get_logger

log = get_logger(__name__)

KINDS = ".jpg, .png, .webp, .bmp, .tif"


def encode(image: U8, suffix: str) -> bytes:
    """(H, W, 3) uint8 RGB in the format of a suffix such as `.png`. Raises `InputError`."""
    if not suffix:
        raise InputError(f"a picture needs a suffix: {KINDS}")
    try:
        done, data = cv2.imencode(suffix, np.ascontiguousarray(image[..., ::-1]))
    except cv2.error as error:
        raise InputError(
            f"{suffix!r} is not a kind of picture that can be written: {KINDS}"
        ) from error
    if not done:
        raise InputError(f"a picture of {image.shape} cannot be written as {suffix}")
    return bytes(data)


def write(image: U8, path: Path) -> Path:
    """Write a picture (H, W, 3) uint8 RGB in the format of the path's suffix; makes the folder.

    Raises `InputError` for an unknown suffix and OSError where the file cannot be written.
    """
    try:
        data = encode(image, path.suffix)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def temporary_folder() -> Path:
    """A new folder that outlives the program, for what a viewer is still to open."""
    return Path(tempfile.mkdtemp(prefix="eyrie-"))


def open_in_viewer(*paths: Path) -> None:
    """Open files of one folder as a double click would, without waiting for the viewer.

    Where the system has no way to do that, one warning says where they are.
    """
    opener = "open" if sys.platform == "darwin" else "xdg-open"
    command = shutil.which(opener)
    if command is None:
        where = paths[0] if len(paths) == 1 else paths[0].parent
        log.warning("nothing on this machine opens pictures (no %s): see %s", opener, where)
        return
    for path in paths:
        # Some openers return only when the viewer is closed; a program must not wait for that.
        threading.Thread(
            target=subprocess.run,
            args=([command, str(path)],),
            kwargs={"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": False},
            daemon=True,
        ).start()
