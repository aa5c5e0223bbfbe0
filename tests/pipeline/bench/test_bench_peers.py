"""Peers: what is found, what is left out and why, and that ours are complete."""

from pathlib import Path

import pytest

from pipeline.bench.peers import find_peers, measurable
from pipeline.core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]


def test_our_peers_are_complete_and_pinned() -> None:
    peers = find_peers(ROOT / "benchmarks/peers", Path("nowhere"))
    assert [peer.name for peer in peers] == [
        "opencv_onnxruntime", "pyav_supervision", "roboflow", "ultralytics"
    ]  # fmt: skip
    for peer in peers:
        lines = (peer.folder / "requirements.txt").read_text().split("\n")
        names = [line for line in lines if line and not line.startswith("#")]
        assert names
        assert all("==" in line for line in names), peer.name
        assert peer.licence


def test_a_peer_that_is_not_installed_is_left_out_with_a_line(tmp_path: Path) -> None:
    told: list[str] = []
    peers = find_peers(ROOT / "benchmarks/peers", tmp_path)
    assert measurable(peers, told.append) == []
    assert len(told) == len(peers)
    assert all("--prepare makes it" in line for line in told)


def test_a_peer_of_other_versions_is_left_out(tmp_path: Path) -> None:
    peer = find_peers(ROOT / "benchmarks/peers", tmp_path)[0]
    peer.python.parent.mkdir(parents=True)
    peer.python.touch()
    wanted = (peer.folder / "requirements.txt").read_text()
    (peer.environment / "installed.txt").write_text(wanted.replace("==", "==0."))
    assert "not what its requirements say" in (peer.why_absent() or "")
    (peer.environment / "installed.txt").write_text(wanted)
    assert peer.why_absent() is None


def test_a_folder_without_peers_and_an_incomplete_one_are_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no peer in"):
        find_peers(tmp_path, tmp_path)
    (tmp_path / "half").mkdir()
    (tmp_path / "half/peer.toml").write_text('title = "Half"\nlicence = "MIT"\n')
    with pytest.raises(ConfigError, match=r"half has no run\.py"):
        find_peers(tmp_path, tmp_path)
