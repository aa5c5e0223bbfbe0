"""A folder of small pictures with boxes."""

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Twelve train and four val pictures: bright squares of class 0 or 1 on dark noise."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = []
    for n in range(16):
        image = rng.integers(0, 80, (48, 64, 3), np.uint8)
        x, y = (int(v) for v in rng.integers(4, 24, 2))
        class_id = n % 2
        image[y : y + 20, x : x + 20, class_id] = 255
        cv2.imwrite(str(folder / f"{n}.png"), image[..., ::-1])
        line = {
            "image": f"{n}.png",
            "split": "train" if n < 12 else "val",
            "labelled": [0, 1] if n % 3 else [class_id],
            "boxes": [[class_id, x, y, x + 20, y + 20]],
        }
        lines.append(json.dumps(line))
    (folder / "classes.txt").write_text("red\ngreen\n")
    (folder / "index.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums of floats depend on how many threads share them."""
    torch = pytest.importorskip("torch", reason="needs the train extra")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
