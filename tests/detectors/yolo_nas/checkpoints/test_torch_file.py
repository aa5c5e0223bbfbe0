"""Files of torch.save: what is damaged or of another kind is named."""

import contextlib
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the train extra")

import torch

from detectors.yolo_nas.checkpoints.torch_file import TorchFile, load
from detectors.yolo_nas.errors import CheckpointError
from tests.detectors.yolo_nas.torch_files import packed, pickled_tensor, saved


def test_a_file_cut_short_is_damaged(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole.pth", {"net": {"a": torch.arange(100.0)}}).read_bytes()
    path = tmp_path / "cut.pth"
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"cut\.pth: "):
            load(path)


@pytest.mark.parametrize(
    ("count", "shape", "strides", "said"),
    [
        (4, (2, 2), (2, 1), None),
        (4, (0, 9), (9, 1), None),
        (4, (10**9, 0), (1, 1), "reaches out of its storage"),
        (4, (1,), (2**200,), r"is damaged: a tensor of \(1,\)"),
        (4, (3, 2), (2, 1), "reaches out of its storage"),
        (4, (2, 2), (3, 1), "reaches out of its storage"),
        (4, (10**9, 10**9), (0, 0), "reaches out of its storage"),
        (4, (-1, 2), (2, 1), "sides that are no sizes"),
        (4, (2, 2), (2,), "is damaged"),
        (5, (2, 2), (2, 1), "has 16 bytes, not the 20 of 5 float32 numbers"),
        (3, (1, 2), (2, 1), "has 16 bytes, not the 12 of 3 float32 numbers"),
    ],
)
def test_a_tensor_lies_in_its_storage_and_that_in_its_record(
    tmp_path: Path, count: int, shape: Any, strides: Any, said: str | None
) -> None:
    program = pickled_tensor(count, shape, strides)
    path = packed(tmp_path / "t.pth", program, {"0": np.arange(4, dtype=np.float32).tobytes()})
    if said is None:
        assert load(path).shape == shape
    else:
        with pytest.raises(CheckpointError, match=said):
            load(path)


def test_a_record_that_is_missing_or_changed_is_named(tmp_path: Path) -> None:
    program = pickled_tensor(4, (4,), (1,))
    with pytest.raises(CheckpointError, match=r"is damaged: record data/0: .*no item named"):
        load(packed(tmp_path / "t.pth", program))
    path = packed(tmp_path / "t.pth", program, {"0": b"0123456789abcdef"})
    path.write_bytes(path.read_bytes().replace(b"0123456789abcdef", b"0123456789abcdeX"))
    with pytest.raises(CheckpointError, match="is damaged: record data/0: Bad CRC-32"):
        load(path)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (b"PK\x01\x02", b"PK\x01\x02\x14\x03\x80", "zip file version 12.8"),
        (b"PK\x01\x02", b"PK\x01\x02\x14\x03\x14\x00\x01", "encrypted"),
    ],
)
def test_damaged_archives_are_named(tmp_path: Path, place: bytes, value: bytes, said: str) -> None:
    path = packed(tmp_path / "t.pth", pickle.dumps({"a": 1}, 2))
    whole = path.read_bytes()
    start = whole.index(place)
    path.write_bytes(whole[:start] + value + whole[start + len(value) :])
    with pytest.raises(CheckpointError, match=rf"t\.pth: is damaged.*{said}"):
        load(path)


def test_any_damage_of_an_archive_is_an_error_or_other_data(tmp_path: Path) -> None:
    path = packed(tmp_path / "t.pth", pickle.dumps({"a": 1}, 2))
    whole = path.read_bytes()
    for place in range(4, len(whole)):
        for value in (1, 128, 255):
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            with contextlib.suppress(CheckpointError):
                load(path)


def test_numbers_in_the_other_byte_order_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "t.pth", pickle.dumps({"a": 1}, 2))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/byteorder", b"big")
    with pytest.raises(CheckpointError, match="big-endian order, which is not read: if you trust"):
        load(path)


def test_what_nobody_asks_for_is_not_read(tmp_path: Path) -> None:
    path = saved(tmp_path / "c.pth", {"net": torch.full((9,), 3.5), "optimizer": torch.ones(99)})
    path.write_bytes(path.read_bytes().replace(torch.ones(99).numpy().tobytes(), b"\0" * 396))
    with TorchFile(path) as file:
        assert file.tensor(file.content["net"]).tolist() == [3.5] * 9
        with pytest.raises(CheckpointError, match="Bad CRC-32"):
            file.tensor(file.content["optimizer"])


def test_compressed_and_overlapping_records_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickled_tensor(4, (4,), (1,)))
        archive.writestr("archive/data/0", b"\0" * 10_000_000)
    with pytest.raises(CheckpointError, match="holds compressed records, which torch"):
        load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled_tensor(4, (4,), (1,)))
        archive.writestr("archive/data/0", b"\0" * 1000)
        entry = archive.infolist()[1]
        archive.filelist.extend([entry] * 9)
    with pytest.raises(CheckpointError, match="holds records that overlap: refused"):
        load(path)


def test_files_of_other_kinds_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def says(words: str) -> None:
        with pytest.raises(CheckpointError, match=words) as caught:
            load(path)
        assert "\n" not in str(caught.value)

    says("No such file or directory")
    for content, words in [
        (b"", "something else"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "the pointer of a Git LFS file"),
        (b"\x08\x09\x12\x07pytorch", "perhaps an ONNX file"),
    ]:
        path.write_bytes(content)
        says(words)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("holiday.jpg", b"")
    says(r"is a zip file, but not one of torch\.save \(no data\.pkl in it\)")
    torch.save({"net": torch.ones(1)}, path, _use_new_zipfile_serialization=False)
    says(r"PyTorch before 1\.6: if you trust the file, write it anew with torch\.save")
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo("storages"))
    says(r"PyTorch before 1\.6")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", b"")
        archive.writestr("net/constants.pkl", b"")
    says(r"is a TorchScript program, not weights: save its state_dict\(\)")
