"""Videos and playlists of a real web server, and the ways in which it may fail."""

import logging
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.arrays import U8
from pipeline.core.errors import (
    DecodeError,
    SourceDenied,
    SourceError,
    SourceRefused,
    SourceUnavailable,
)
from pipeline.core.frame import Frame
from stages.sources.container import UNKNOWN_START_NS
from stages.sources.http import HttpSource
from stages.sources.reading import Reading
from stages.sources.tls import Tls
from tests.services.web import Web, playlist
from tests.stages.sources.clips import encode

FRAMES = 100


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with Web(tmp_path) as server:
        yield server


def source(url: str, **more: Any) -> HttpSource:
    access = {key: more.pop(key) for key in ("user", "password", "tls") if key in more}
    how = {"open_timeout_s": 5, "read_timeout_s": 5} | more
    return HttpSource("web", url, Reading(epoch=3, first_seq=50, **how), **access)


def noise(index: int, width: int, height: int) -> U8:
    return np.random.default_rng(index).integers(0, 256, (height, width, 3), np.uint8)


def failure(one: HttpSource) -> SourceError:
    with pytest.raises(SourceError) as caught:
        list(one.frames())
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None  # FFmpeg's error holds the address
    return caught.value


def times_ns(frames: list[Frame]) -> list[int]:
    return [frame.info.pts_ns - frames[0].info.pts_ns for frame in frames]


@pytest.mark.parametrize("faststart", [True, False])
def test_a_file_is_read_as_from_disk(web: Web, faststart: bool) -> None:
    encode(web.folder / "a.mp4", FRAMES, faststart=faststart, created="2026-05-04T10:00:00Z")
    one = source(f"{web.url}/a.mp4")
    frames = list(one.frames())
    assert not one.live
    assert [frame.info.seq for frame in frames] == list(range(50, 50 + FRAMES))
    assert {frame.info.epoch for frame in frames} == {3}
    assert times_ns(frames) == [i * 40_000_000 for i in range(FRAMES)]
    assert one.frame_count == FRAMES == one.counts.decoded_total
    began = datetime(2026, 5, 4, 10, tzinfo=UTC).timestamp()
    assert frames[25].info.captured_ns == (began + 1) * 1e9
    assert frames[0].info.clock == "container"


def test_a_file_without_a_date_is_uncertain_by_a_day_and_thinned_on_request(web: Web) -> None:
    encode(web.folder / "a.mp4", FRAMES)
    one = source(f"{web.url}/a.mp4", fps=5)
    frames = list(one.frames())
    assert len(frames) == FRAMES // 5
    assert one.counts.decoded_total == len(frames) + one.counts.skipped_total == FRAMES
    assert frames[0].info.clock == "arrival"
    assert frames[0].info.uncertainty_ns == UNKNOWN_START_NS


def test_a_transfer_that_breaks_is_resumed_where_it_was(web: Web) -> None:
    encode(web.folder / "a.mp4", FRAMES, size=(320, 240), faststart=True)
    web.cut.add("a.mp4")
    frames = list(source(f"{web.url}/a.mp4").frames())
    assert times_ns(frames) == [i * 40_000_000 for i in range(FRAMES)]
    assert len(web.requests) > 1


def test_a_transfer_that_cannot_be_resumed_is_no_whole_file(tmp_path: Path) -> None:
    encode(tmp_path / "a.mp4", FRAMES, size=(320, 240), faststart=True)
    with Web(tmp_path, ranges=False) as web:
        web.cut.add("a.mp4")
        one = source(f"{web.url}/a.mp4")
        error = failure(one)
    assert "the connection broke" in str(error)
    assert 0 < one.counts.decoded_total < FRAMES


def test_an_index_at_the_end_that_cannot_be_asked_for(tmp_path: Path) -> None:
    encode(tmp_path / "a.mp4", 30, size=(320, 240), picture=noise)
    assert (tmp_path / "a.mp4").read_bytes().index(b"moov") > 500_000
    with Web(tmp_path, ranges=False) as web:
        error = failure(source(f"{web.url}/a.mp4"))
    assert "the index is at the end of the file and the server gives no ranges" in str(error)


def test_silence_in_the_middle_ends_within_the_deadline(web: Web) -> None:
    encode(web.folder / "a.mp4", FRAMES, size=(320, 240), faststart=True)
    web.released.clear()
    error = failure(source(f"{web.url}/a.mp4", live=True, read_timeout_s=1))
    assert "no data for 1 s" in str(error) or "the connection broke" in str(error)
    assert isinstance(error, SourceUnavailable)


def test_a_playlist_with_an_end_is_a_file(web: Web) -> None:
    playlist(encode(web.folder / "a.mp4", FRAMES), web.folder)
    one = source(f"{web.url}/list.m3u8")
    frames = list(one.frames())
    assert times_ns(frames) == [i * 40_000_000 for i in range(FRAMES)]


def test_a_playlist_whose_last_parts_are_missing_is_not_whole(web: Web) -> None:
    playlist(encode(web.folder / "a.mp4", FRAMES), web.folder)
    for part in sorted(web.folder.glob("part*.ts"))[-2:]:
        part.unlink()
    error = failure(source(f"{web.url}/list.m3u8"))
    assert isinstance(error, DecodeError)
    assert "earlier than it says" in str(error)


def test_a_playlist_without_an_end_is_live_and_its_end_a_loss(
    web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    path = playlist(encode(web.folder / "a.mp4", FRAMES), web.folder, ended=False)
    one = source(f"{web.url}/list.m3u8", live=True)
    given: list[Frame] = []
    pictures = one.frames()
    given.append(next(pictures))
    with path.open("a") as file:
        file.write("#EXT-X-ENDLIST\n")
    with pytest.raises(SourceUnavailable, match="the stream ended"):
        given.extend(pictures)
    assert len(given) == FRAMES - 30  # of four parts, players begin with the last three
    assert given[0].info.clock == "arrival"
    assert given[0].info.uncertainty_ns > 60e9  # how far behind a playlist is, nobody says
    assert not caplog.records


@pytest.mark.parametrize(("ended", "live"), [(False, False), (True, True)])
def test_the_wrong_kind_of_playlist_is_told(
    web: Web, caplog: pytest.LogCaptureFixture, ended: bool, live: bool
) -> None:
    playlist(encode(web.folder / "a.mp4", FRAMES), web.folder, ended=ended)
    with caplog.at_level(logging.WARNING, "eyrie"):
        pictures = source(f"{web.url}/list.m3u8", live=live).frames()
        next(pictures)
    assert ("set live: true" in caplog.text) != live
    assert ("live: false reads it once" in caplog.text) == live


def test_a_playlist_cannot_read_files_of_this_machine(web: Web) -> None:
    playlist(encode(web.folder / "a.mp4", FRAMES), web.folder)
    text = (web.folder / "list.m3u8").read_text()
    evil = text.replace("part", f"file://{web.folder}/part")
    (web.folder / "list.m3u8").write_text(evil)
    one = source(f"{web.url}/list.m3u8")
    failure(one)
    assert one.counts.decoded_total == 0


def test_user_and_password_of_any_characters_are_sent_and_never_told(tmp_path: Path) -> None:
    encode(tmp_path / "a.mp4", 5)
    with Web(tmp_path, "me:hunter2/@ö%41") as web:
        url = f"{web.url}/a.mp4?token=topsecret"
        assert len(list(source(url, user="me", password="hunter2/@ö%41").frames())) == 5
        wrong = failure(source(url, user="me", password="hunter3"))
        none = failure(source(url))
    assert isinstance(wrong, SourceDenied)
    assert str(wrong).endswith("/a.mp4?***: the server refused the user name or password")
    assert "wants a user name" in str(none)
    assert not any(secret in f"{wrong}{none}" for secret in ("hunter", "topsecret"))


def test_what_is_not_there_or_no_video_is_told(web: Web) -> None:
    (web.folder / "text.mp4").write_text("no video\n" * 100)
    (web.folder / "page.html").write_text("<html><body>no video</body></html>\n" * 100)
    missing = failure(source(f"{web.url}/none.mp4"))
    assert isinstance(missing, SourceRefused)
    assert "nothing is there (404)" in str(missing)
    for name in ("text.mp4", "page.html"):
        error = failure(source(f"{web.url}/{name}"))
        assert isinstance(error, DecodeError)
        assert "not with a video" in str(error)


def test_a_server_that_does_not_answer_and_none_at_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/a"
        silent = failure(source(url, open_timeout_s=0.5, read_timeout_s=0.5))
    assert "no answer within" in str(silent)
    assert "connection refused: nothing listens at 127.0.0.1:" in str(failure(source(url)))


def test_an_encrypted_address_of_a_server_that_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/a"
        error = failure(source(url, tls=Tls(verify=False)))
        thread.join(5)
    assert "no encrypted connection" in str(error)


def test_a_wrong_address_is_refused_without_showing_it() -> None:
    with pytest.raises(SourceRefused, match="no valid host and port") as caught:
        source("http://me:hunter2/@cam/a")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(SourceRefused, match="starts with http:// or https://"):
        source("ftp://cam/a")


def test_closing_ends_it_without_an_error(web: Web) -> None:
    encode(web.folder / "a.mp4", FRAMES)
    one = source(f"{web.url}/a.mp4", live=True)
    pictures = one.frames()
    next(pictures)
    one.close()
    assert list(pictures) == []


def test_authorities_that_are_missing_name_the_key(tmp_path: Path) -> None:
    tls = Tls(ca_file=tmp_path / "none.pem")
    with pytest.raises(SourceUnavailable, match=r"tls\.ca_file cannot be read: No such file"):
        list(source("https://127.0.0.1:1/a", tls=tls).frames())


def test_a_decoder_that_is_told_to_give_key_frames_only_does(web: Web) -> None:
    encode(web.folder / "a.mp4", FRAMES)
    one = HttpSource("web", f"{web.url}/a.mp4", Reading(live=False, decode="keyframes"))
    assert len(list(one.frames())) == FRAMES // 10
    assert one.counts.undecoded_total == FRAMES - FRAMES // 10
