"""Servers that misbehave before any video flows."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.core.errors import SourceDenied, SourceRefused, SourceUnavailable
from stages.sources.reading import Reading
from stages.sources.rtsp import RtspSource
from stages.sources.tls import Tls


@contextmanager
def camera(answer: Callable[[socket.socket], object]) -> Iterator[str]:
    """A server that accepts one connection and hands it to `answer`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"rtsp://127.0.0.1:{listener.getsockname()[1]}/live"
        thread.join(5)


def failure(url: str) -> SourceUnavailable:
    source = RtspSource(
        "cam", url, Reading(open_timeout_s=1, read_timeout_s=1), user="me", password="hunter2"
    )
    with pytest.raises(SourceUnavailable) as caught:
        list(source.frames())
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None  # FFmpeg's error holds the address
    return caught.value


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = failure(f"rtsp://127.0.0.1:{port}/live")
    assert "connection refused: nothing listens at 127.0.0.1:" in str(error)
    assert error.cause == "unavailable"


def test_no_way_to_the_machine() -> None:
    error = failure("rtsp://255.255.255.255:554/live")  # TCP has no way to a broadcast address
    assert "no way to 255.255.255.255:554: is it on" in str(error)
    assert error.cause == "unavailable"


def refuse(status: str) -> Callable[[socket.socket], object]:
    def answer(connection: socket.socket) -> None:
        while request := connection.recv(4096).decode():
            number = request.partition("CSeq: ")[2].partition("\r\n")[0]
            reply = f"RTSP/1.0 {status}\r\nCSeq: {number}\r\n"
            connection.sendall(f'{reply}WWW-Authenticate: Basic realm="x"\r\n\r\n'.encode())

    return answer


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ("401 Unauthorized", "refused the user name or password"),
        ("403 Forbidden", "refused the user name or password"),
        ("404 Not Found", "no stream at this path"),
    ],
)
def test_a_no_has_a_kind_of_its_own(status: str, why: str) -> None:
    with camera(refuse(status)) as url:
        error = failure(url)
    assert why in str(error)
    assert isinstance(error, SourceRefused)
    assert isinstance(error, SourceDenied) == (not status.startswith("404"))


def test_silence_ends_within_the_timeout() -> None:
    with camera(lambda connection: connection.recv(4096) and connection.recv(4096)) as url:
        error = failure(url)
    assert "no answer within" in str(error)


def test_an_encrypted_address_without_authorities_names_the_key(tmp_path: Path) -> None:
    tls = Tls(ca_file=tmp_path / "none.pem")
    source = RtspSource("cam", "rtsps://127.0.0.1:1/live", tls=tls)
    with pytest.raises(SourceUnavailable, match=r"tls\.ca_file cannot be read: No such file"):
        list(source.frames())


def test_an_encrypted_address_of_a_server_that_is_not() -> None:
    with camera(lambda connection: connection.sendall(b"220 mail.example ESMTP\r\n")) as url:
        source = RtspSource("cam", url.replace("rtsp:", "rtsps:"), tls=Tls(verify=False))
        with pytest.raises(SourceUnavailable, match="no encrypted connection"):
            list(source.frames())


def test_something_else_than_rtsp() -> None:
    with camera(lambda connection: connection.sendall(b"220 mail.example ESMTP\r\n")) as url:
        error = failure(url)
    assert error.why.startswith(f"{url}: ")
    assert error.cause == "unavailable"


def test_a_wrong_address_is_refused_without_showing_it() -> None:
    with pytest.raises(SourceUnavailable, match="no valid host and port") as caught:
        RtspSource("cam", "rtsp://me:hunter2/@cam/a")
    assert "hunter2" not in str(caught.value)
