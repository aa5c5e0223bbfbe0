"""Files as torch.save writes them, and as somebody hostile would."""

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


class Calls:
    """Pickles as the call of a function, as hostile files do."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.arguments


def saved(path: Path, content: Any, protocol: int = 2) -> Path:
    torch.save(content, path, pickle_protocol=protocol)
    return path


def packed(path: Path, program: bytes, records: dict[str, bytes] | None = None) -> Path:
    """A file as torch.save writes it, of that pickle and those storages."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        for name, record in (records or {}).items():
            archive.writestr(f"archive/data/{name}", record)
    return path


def pickled_tensor(count: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    """The pickle of a float32 tensor in record 0, which is said to hold `count` numbers."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            return ("storage", torch.FloatStorage, "0", "cpu", count) if obj == "there" else None

    file = io.BytesIO()
    rebuild = torch._utils._rebuild_tensor_v2
    Pickler(file, 2).dump(Calls(rebuild, "there", 0, shape, strides, False, {}))
    return file.getvalue()
