"""Encrypted web servers: whose certificate is taken, and whose is not."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.core.errors import SourceUnavailable
from stages.sources.http import HttpSource
from stages.sources.reading import Reading
from stages.sources.tls import Tls
from tests.services.certificates import Authority
from tests.services.web import Web, playlist
from tests.stages.sources.clips import encode

FRAMES = 50
VIDEOS = ("a.mp4", "list.m3u8")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    playlist(encode(folder / "a.mp4", FRAMES), folder)
    return folder


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("theirs"), "theirs")


def frames(url: str, tls: Tls) -> int:
    reading = Reading(live=False, open_timeout_s=5, read_timeout_s=5)
    source = HttpSource("web", url, reading, tls=tls)
    return len(list(source.frames()))


@contextmanager
def refused() -> Iterator[None]:
    with pytest.raises(SourceUnavailable) as caught:
        yield
    assert "no encrypted connection: is its certificate valid" in caught.value.why


@pytest.mark.parametrize("video", VIDEOS)
def test_a_certificate_of_a_known_authority_is_taken(
    video: str, videos: Path, ours: Authority
) -> None:
    with Web(videos, "me:secret", certificate=ours.certificate()) as web:
        url = web.url.replace("://", "://me:secret@")
        assert frames(f"{url}/{video}", Tls(ca_file=ours.file)) == FRAMES
        asked = len(web.requests)
        with refused():  # by the system's authorities, who do not know ours
            frames(f"{url}/{video}", Tls())
        assert len(web.requests) == asked, "the password was sent to a server that proved nothing"
        assert frames(f"{url}/{video}", Tls(verify=False)) == FRAMES


@pytest.mark.parametrize("video", VIDEOS)
def test_other_certificates_are_refused(
    video: str, videos: Path, ours: Authority, theirs: Authority
) -> None:
    by_another = theirs.certificate()
    of_another_host = ours.certificate("DNS:example.org")
    expired = ours.certificate(days=-1)
    for certificate in (by_another, of_another_host, expired):
        with Web(videos, certificate=certificate) as web, refused():
            frames(f"{web.url}/{video}", Tls(ca_file=ours.file))


def test_parts_of_a_playlist_are_not_checked_and_that_is_said(
    videos: Path,
    ours: Authority,
    theirs: Authority,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """FFmpeg hands its TLS options to none of the connections that a playlist leads to."""
    with (
        Web(videos, certificate=theirs.certificate()) as elsewhere,
        Web(tmp_path, certificate=ours.certificate()) as web,
    ):
        listed = (videos / "list.m3u8").read_text()
        led = re.sub(r"^(part\d+\.ts)$", rf"{elsewhere.url}/\1", listed, flags=re.MULTILINE)
        (tmp_path / "list.m3u8").write_text(led)
        with caplog.at_level(logging.WARNING):
            assert frames(f"{web.url}/list.m3u8", Tls(ca_file=ours.file)) == FRAMES
    assert "the certificate of the playlist, and none of its parts" in caplog.text
