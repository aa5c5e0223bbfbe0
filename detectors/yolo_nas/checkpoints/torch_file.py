"""Files of `torch.save`, read without running anything in them.

The format: an uncompressed zip archive of one folder, with the pickle `data.pkl` and every storage
as a record `data/<key>` of its numbers, little-endian.
"""

from __future__ import annotations

import struct
import tarfile
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from detectors.yolo_nas.checkpoints.stand_ins import Storage, StoredTensor, table
from detectors.yolo_nas.checkpoints.unpickle import RefusedPickle, unpickle
from detectors.yolo_nas.errors import CheckpointError

ZIP = b"PK\x03\x04"
OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"
LARGEST_PICKLE_BYTES = 16 * 2**20
ZIP_FAULTS = (
    zipfile.BadZipFile, KeyError, EOFError, RuntimeError, OSError, ValueError, struct.error,
)  # fmt: skip
"""What `zipfile` raises for damaged archives."""
ANEW = (
    "if you trust the file, write it anew with torch.save(torch.load(OLD, weights_only=True), NEW)"
)
KINDS = {
    b"version https://git-lfs": "the pointer of a Git LFS file: fetch the file itself",
    b"<": "a web page: the download went to something else than the file",
    b"{": "JSON",
    b"\x08": "perhaps an ONNX file, which needs no checkpoint to be loaded",
}


class TorchFile:
    """One open file. `content` is all of its data, with a `StoredTensor` for every tensor, which
    `tensor` reads: what nobody asks for, such as an optimizer's state, costs no memory.

    Raises `CheckpointError` when the file is missing, damaged, or holds more than data.
    """

    content: Any

    def __init__(self, path: Path) -> None:
        self.path = path
        self._storages: dict[Storage, Tensor] = {}
        self._zip = _open(path)
        try:
            self._folder = self._find_folder()
            self._check_byte_order()
            self.content = unpickle(self._read("data.pkl"), table())
        except RefusedPickle as error:
            self.close()
            raise self._error(str(error)) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._zip.close()

    def tensor(self, stored: StoredTensor) -> Tensor:
        """Read a tensor; tensors of one storage share it."""
        storage = stored.storage
        if storage not in self._storages:
            self._storages[storage] = self._load(storage)
        flat = self._storages[storage]
        try:
            return flat.as_strided(stored.shape, stored.strides, stored.offset)
        except (RuntimeError, TypeError, OverflowError) as error:
            raise self._error(f"is damaged: a tensor of {stored.shape!s:.100}") from error

    def _load(self, storage: Storage) -> Tensor:
        dtype: torch.dtype = getattr(torch, storage.dtype)
        numbers = bytearray(self._read(f"data/{storage.record}"))
        if len(numbers) != storage.count * dtype.itemsize:
            raise self._error(
                f"record data/{storage.record} has {len(numbers)} bytes, not the "
                f"{storage.count * dtype.itemsize} of {storage.count} {storage.dtype} numbers"
            )
        return torch.frombuffer(numbers, dtype=dtype) if numbers else torch.empty(0, dtype=dtype)

    def _find_folder(self) -> str:
        entries = self._zip.infolist()
        folders = [e.filename[: -len("data.pkl")] for e in entries if _is_pickle(e.filename)]
        if any(entry.filename.endswith("/constants.pkl") for entry in entries):
            raise self._error("is a TorchScript program, not weights: save its state_dict()")
        if len(folders) != 1:
            raise self._error("is a zip file, but not one of torch.save (no data.pkl in it)")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise self._error("holds compressed records, which torch.save never writes: refused")
        if sum(entry.file_size for entry in entries) > self.path.stat().st_size:
            raise self._error("holds records that overlap: refused")
        if self._zip.getinfo(f"{folders[0]}data.pkl").file_size > LARGEST_PICKLE_BYTES:
            raise self._error(f"has a pickle of more than {LARGEST_PICKLE_BYTES} bytes: refused")
        return folders[0]

    def _check_byte_order(self) -> None:
        written = f"{self._folder}byteorder" in self._zip.namelist()
        if written and self._read("byteorder") != b"little":
            raise self._error(f"holds numbers in big-endian order, which is not read: {ANEW}")

    def _read(self, name: str) -> bytes:
        try:
            return self._zip.read(self._folder + name)
        except ZIP_FAULTS as error:
            raise self._error(f"is damaged: record {name:.100}: {error}") from error

    def _error(self, why: str) -> CheckpointError:
        return CheckpointError(f"checkpoint {self.path}: {why}")


def load(path: Path) -> Any:
    """All that a file of `torch.save` holds, tensors included. Raises `CheckpointError`."""
    with TorchFile(path) as file:
        return _with_tensors(file.content, file)


def _with_tensors(value: Any, file: TorchFile) -> Any:
    if isinstance(value, StoredTensor):
        return file.tensor(value)
    if isinstance(value, dict):
        return {name: _with_tensors(item, file) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_with_tensors(item, file) for item in value)
    return value


def _is_pickle(name: str) -> bool:
    return name.endswith("/data.pkl") and name.count("/") == 1


def _open(path: Path) -> zipfile.ZipFile:
    try:
        with path.open("rb") as file:
            start = file.read(64)
        if start.startswith(ZIP):
            return zipfile.ZipFile(path)
    except OSError as error:
        raise CheckpointError(f"checkpoint {path}: {error.strerror or error}") from error
    except ZIP_FAULTS as error:
        why = f"checkpoint {path}: is damaged or cut short: {error}"
        raise CheckpointError(why) from error
    raise CheckpointError(f"checkpoint {path}: {_other_kind(path, start)}")


def _other_kind(path: Path, start: bytes) -> str:
    if start.startswith(OLD_TORCH) or tarfile.is_tarfile(path):
        return f"is in the format of PyTorch before 1.6: {ANEW}"
    kinds = [kind for sign, kind in KINDS.items() if start.startswith(sign)]
    return f"is not a file of torch.save but {kinds[0] if kinds else 'something else'}"
