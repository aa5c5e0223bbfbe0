"""Weights from the network, against a real server on this machine."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from detectors.yolo_nas.checkpoints import download
from detectors.yolo_nas.checkpoints.download import RELEASES, Release, fetch
from detectors.yolo_nas.errors import CheckpointError

BODY = bytes(range(256)) * 8192
SHA256 = hashlib.sha256(BODY).hexdigest()
OTHER_SHA256 = "0" * 64


@dataclass
class Server:
    """Answers `/good.pth` with `BODY`, and the others as their names say."""

    port: int
    asked: list[str] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.partition("?")[0].strip("/")
            state.asked.append(name)
            if name == "missing.pth":
                self.send_error(404)
                return
            self.send_response(302 if name.startswith("to-") else 200)
            if name == "to-good.pth":
                self.send_header("Location", state.url("good.pth"))
            elif name.startswith("to-"):
                targets = {"to-http": "http://example.invalid/", "to-file": "file:///etc/passwd"}
                self.send_header("Location", targets[name])
            lengths = {"good.pth": len(BODY), "cut.pth": len(BODY) + 1, "huge.pth": 10**12}
            if name != "endless.pth":
                self.send_header("Content-Length", str(lengths.get(name, 0)))
            self.end_headers()
            if name in ("good.pth", "cut.pth", "endless.pth"):
                self.wfile.write(BODY)

        def log_request(self, *_: object) -> None:
            pass

        def log_error(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Server(http.server_address[1])
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


def refused(url: str, cache: Path, sha256: str | None = SHA256) -> str:
    with pytest.raises(CheckpointError) as caught:
        fetch(url, sha256=sha256, cache=cache)
    assert not cache.exists() or not list(cache.iterdir()), "something was left in the cache"
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_is_fetched_once_and_kept(server: Server, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "eyrie"
    first = fetch(server.url("good.pth"), sha256=SHA256.upper(), cache=cache)
    again = fetch(server.url("good.pth"), sha256=SHA256, cache=cache)
    assert first == again == cache / f"{SHA256[:16]}-good.pth"
    assert first.read_bytes() == BODY
    assert server.asked == ["good.pth"]
    assert list(cache.iterdir()) == [first]


def test_a_file_damaged_in_the_cache_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    path = fetch(server.url("good.pth"), sha256=SHA256, cache=tmp_path)
    path.write_bytes(b"damaged")
    assert fetch(server.url("good.pth"), sha256=SHA256, cache=tmp_path).read_bytes() == BODY
    assert server.asked == ["good.pth"] * 2


def test_the_cache_is_where_the_system_says(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert fetch(server.url("good.pth"), sha256=SHA256).parent == tmp_path / "xdg" / "eyrie"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert fetch(server.url("good.pth"), sha256=SHA256).parent == tmp_path / "home/.cache/eyrie"


def test_redirects_are_followed_to_where_one_may_go(server: Server, tmp_path: Path) -> None:
    fetch(server.url("to-good.pth"), sha256=SHA256, cache=tmp_path / "a")
    assert server.asked == ["to-good.pth", "good.pth"]
    said = refused(server.url("to-http"), tmp_path / "b")
    assert said == "http://example.invalid/: only https is fetched from"
    assert refused(server.url("to-file"), tmp_path / "b").endswith("is not allowed")


def test_another_file_than_the_wanted_is_not_kept(server: Server, tmp_path: Path) -> None:
    said = refused(server.url("good.pth"), tmp_path / "cache", OTHER_SHA256)
    assert said.endswith(f"has the SHA-256 {SHA256}, not {OTHER_SHA256}: not kept")


def test_a_download_cut_short_is_not_kept(server: Server, tmp_path: Path) -> None:
    said = refused(server.url("cut.pth"), tmp_path / "cache")
    assert f"ended after {len(BODY)} of {len(BODY) + 1} bytes; try again" in said


@pytest.mark.parametrize("name", ["huge.pth", "endless.pth"])
def test_a_file_that_is_too_large_is_not_kept(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(download, "LARGEST_BYTES", len(BODY) - 1)
    assert "GiB, which no checkpoint has" in refused(server.url(name), tmp_path / "cache")


def test_a_server_that_refuses_or_is_away_is_named(server: Server, tmp_path: Path) -> None:
    said = refused(server.url("missing.pth"), tmp_path / "cache")
    assert said == f"cannot download {server.url('missing.pth')}: Not Found"
    said = refused("http://localhost:9/x.pth", tmp_path / "cache")
    assert said.startswith("cannot download http://localhost:9/x.pth: [Errno 111] Connection refu")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.invalid/x.pth", "http://example.invalid/x.pth: only https is fetched"),
        ("http://localhost.example.invalid/x.pth", "only https is fetched"),
        ("ftp://example.invalid/x.pth", "only https is fetched"),
        ("file:///tmp/x.pth", "give the path alone"),
        ("https://[x.pth", "is no address"),
    ],
)
def test_only_https_is_asked(tmp_path: Path, url: str, said: str) -> None:
    assert said in refused(url, tmp_path / "cache")


def test_secrets_of_an_address_are_not_told(server: Server, tmp_path: Path) -> None:
    url = f"http://user:secret@127.0.0.1:{server.port}/missing.pth?token=secret"
    assert "secret" not in refused(url, tmp_path / "cache")
    assert "secret" not in refused(url, tmp_path / "cache", None)


def test_an_unknown_file_needs_a_checksum(server: Server, tmp_path: Path) -> None:
    said = refused(server.url("good.pth"), tmp_path / "cache", None)
    assert (
        "not a file that Eyrie knows; give the SHA-256 that its makers publish (--sha256)" in said
    )
    assert "is no SHA-256" in refused(server.url("good.pth"), tmp_path / "cache", "12")
    assert server.asked == []


@pytest.mark.parametrize("name", list(RELEASES))
def test_public_weights_need_the_licence_accepted(tmp_path: Path, name: str) -> None:
    release = RELEASES[name]
    for source in (name, *release.urls, "https://elsewhere.invalid/renamed.pth"):
        said = refused(source, tmp_path / "cache", release.sha256)
        assert said.startswith(f"{source}: the public YOLO-NAS weights are under Deci's licence")
        for word in ("no commercial", "no production", "no redistribution", "fine-tuned"):
            assert word in said
        assert said.endswith("say so: --accept-licence, accept_licence=True")


def test_a_release_is_fetched_by_name_from_the_first_place_that_has_it(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = (server.url("missing.pth"), server.url("good.pth"))
    monkeypatch.setitem(RELEASES, "yolo_nas_s_coco", Release(urls, SHA256))
    path = fetch("yolo_nas_s_coco", accept_licence=True, cache=tmp_path)
    assert path.read_bytes() == BODY
    with pytest.raises(CheckpointError, match=f"has the SHA-256 {SHA256}, not {OTHER_SHA256}"):
        fetch("yolo_nas_s_coco", accept_licence=True, sha256=OTHER_SHA256, cache=tmp_path)


def test_a_cache_that_cannot_be_written_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointError, match="Not a directory"):
        fetch(server.url("good.pth"), sha256=SHA256, cache=tmp_path / "file" / "cache")
