"""The camera's clock, and servers that misbehave before any video flows."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from pipeline.core.errors import SourceRefused, SourceUnavailable
from stages.sources.rtsp import CameraClock, RtspSource

WALL_NS = 1_700_000_000 * 10**9
SECOND_NS = 10**9


def test_before_a_report_the_arrival_counts() -> None:
    clock = CameraClock("cam")
    assert clock.stamp(SECOND_NS, WALL_NS) == (WALL_NS, "arrival", SECOND_NS)


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
        "cam", url, user="me", password="hunter2", open_timeout_s=1, read_timeout_s=1
    )
    with pytest.raises(SourceUnavailable) as caught:
        list(source.frames())
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = failure(f"rtsp://127.0.0.1:{port}/live")
    assert "connection refused: nothing listens at 127.0.0.1:" in str(error)
    assert error.retryable


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
def test_a_no_is_no_reason_to_try_again(status: str, why: str) -> None:
    with camera(refuse(status)) as url:
        error = failure(url)
    assert why in str(error)
    assert isinstance(error, SourceRefused)
    assert not error.retryable


def test_silence_ends_within_the_timeout() -> None:
    with camera(lambda connection: connection.recv(4096) and connection.recv(4096)) as url:
        error = failure(url)
    assert "no answer within" in str(error)


def test_something_else_than_rtsp() -> None:
    with camera(lambda connection: connection.sendall(b"220 mail.example ESMTP\r\n")) as url:
        error = failure(url)
    assert error.why.startswith(f"{url}: ")
    assert error.retryable


def test_a_wrong_address_is_refused_without_showing_it() -> None:
    with pytest.raises(SourceUnavailable, match="no valid host and port") as caught:
        RtspSource("cam", "rtsp://me:hunter2/@cam/a")
    assert "hunter2" not in str(caught.value)


def test_reports_give_the_time_of_exposure_whatever_the_order() -> None:
    clock = CameraClock("cam")
    clock.learn(2 * SECOND_NS, WALL_NS // 1000)
    captured, source, uncertainty = clock.stamp(SECOND_NS, WALL_NS)
    assert (captured, source) == (WALL_NS - SECOND_NS, "rtcp")
    assert uncertainty == SECOND_NS


def test_a_camera_whose_clock_is_unset_is_not_believed(caplog: pytest.LogCaptureFixture) -> None:
    clock = CameraClock("cam")
    clock.learn(0, 5_000_000)
    with caplog.at_level(logging.WARNING):
        stamps = [clock.stamp(index, WALL_NS + index) for index in range(3)]
    assert [source for _, source, _ in stamps] == ["arrival"] * 3
    assert len(caplog.records) == 1
    assert "clock is off by" in caplog.text
